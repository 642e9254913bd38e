// How much goes through a model at a time, positions of prompts included.
#include "runner/plan_forwards.h"

#include <gtest/gtest.h>

#include "runner/packs.h"

namespace lmoe::runner {
namespace {

using Ids = std::vector<int32_t>;

TEST(PlanForwards, CutsInputsWhereAForwardIsFull) {
  const Ids ids(kTokensPerForward - 10, 1), more(30, 2);
  const std::vector<decode::StepInput> inputs = {{1, ids}, {2, more}};
  const auto forwards = plan_forwards(inputs, /*stay_whole=*/false, /*extra=*/0);
  ASSERT_EQ(forwards.size(), 2U);
  ASSERT_EQ(forwards[0].size(), 2U);
  EXPECT_EQ(forwards[0][1].count, 10U);
  EXPECT_FALSE(forwards[0][1].is_last);
  ASSERT_EQ(forwards[1].size(), 1U);
  EXPECT_EQ(forwards[1][0].first, 10U);
  EXPECT_TRUE(forwards[1][0].is_last);
  const auto whole = plan_forwards(inputs, /*stay_whole=*/true, /*extra=*/0);
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0][1].count, 30U);
}

TEST(PlanForwards, PositionsOfPromptsCount) {
  const std::vector<Ids> sequences(80, Ids(10, 1));
  std::vector<decode::StepInput> inputs;
  for (size_t i = 0; i < sequences.size(); ++i)
    inputs.push_back({static_cast<decode::SequenceId>(i + 1), sequences[i]});
  EXPECT_EQ(plan_forwards(inputs, false, 0).size(), 1U);
  EXPECT_EQ(make_packs(sequences).size(), 1U);
  // 37 of 110 positions fit into 4096.
  EXPECT_EQ(make_packs(sequences, 100).size(), 3U);
  size_t tokens = 0;
  for (const std::vector<Piece>& forward : plan_forwards(inputs, false, 100)) {
    int64_t positions = 0;
    for (const Piece& piece : forward) {
      positions += static_cast<int64_t>(piece.count) + (piece.first == 0 ? 100 : 0);
      tokens += piece.count;
    }
    EXPECT_LE(positions, kTokensPerForward + 100);
  }
  EXPECT_EQ(tokens, 800U);
}

}  // namespace
}  // namespace lmoe::runner
