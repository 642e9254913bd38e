#include <cmath>

#include <gtest/gtest.h>

#include "eval/score_text.h"
#include "eval/score_windowed.h"
#include "support/fake_step_model.h"
#include "support/fake_tokenizer.h"

namespace lmoe::eval {
namespace {

using test::FakeStepModel;
using test::FakeTokenizer;

/// Logits that depend on the last id only, so windows change nothing.
FakeStepModel::LogitsOf bigram() {
  return [](FakeStepModel::History ids) {
    std::vector<float> logits(5, 0.0F);
    logits[(ids.back() + 1) % 5] = 2.0F;
    return logits;
  };
}

/// The logit of id 0 says how many ids came before.
FakeStepModel::LogitsOf context_length() {
  return [](FakeStepModel::History ids) {
    std::vector<float> logits(5, 0.0F);
    logits[0] = static_cast<float>(ids.size());
    return logits;
  };
}

double logprob_of_zero(double length) { return length - std::log(std::exp(length) + 4.0); }

TEST(ScoreWindowed, ShortSequencesAreScoredWhole) {
  FakeStepModel model(5, context_length(), 8);
  const std::vector<std::vector<int32_t>> sequences = {{1, 0, 0, 0}, {2}};
  const auto scored = score_windowed(model, sequences);
  ASSERT_EQ(scored.size(), 2U);
  ASSERT_EQ(scored[0].logprobs.size(), 3U);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(scored[0].logprobs[i], logprob_of_zero(static_cast<double>(i) + 1), 1e-6);
  EXPECT_TRUE(scored[0].is_greedy[2]);
  EXPECT_TRUE(scored[1].logprobs.empty());
}

// Eight positions, stride four: the first window scores ids 1 to 7 with 1 to 7 ids before them;
// later windows score four ids each, with four to seven before them.
TEST(ScoreWindowed, EveryTokenOnceWithEnoughContext) {
  FakeStepModel model(5, context_length(), 8);
  const std::vector<std::vector<int32_t>> sequences = {std::vector<int32_t>(18, 0)};
  const auto scored = score_windowed(model, sequences, {.stride = 4});
  ASSERT_EQ(scored[0].logprobs.size(), 17U);
  for (size_t i = 0; i < 17; ++i) {
    const double before =
        i < 7 ? static_cast<double>(i) + 1 : 4.0 + static_cast<double>((i - 7) % 4);
    EXPECT_NEAR(scored[0].logprobs[i], logprob_of_zero(before), 1e-6) << "token " << i + 1;
  }
}

TEST(ScoreWindowed, AnyStrideGivesTheSameForAShortMemory) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 43; ++i) ids.push_back((i * i) % 5);
  FakeStepModel whole(5, bigram(), 64);
  const auto expected = score_windowed(whole, std::span(&ids, 1)).front();
  for (const int64_t stride : {1, 2, 5, 7, 0}) {
    FakeStepModel model(5, bigram(), 8);
    const auto scored = score_windowed(model, std::span(&ids, 1), {.stride = stride}).front();
    EXPECT_EQ(scored.logprobs, expected.logprobs) << "stride " << stride;
    EXPECT_EQ(scored.is_greedy, expected.is_greedy) << "stride " << stride;
  }
}

TEST(ScoreWindowed, WindowsKnowWhatIsLeftOfThePrompt) {
  FakeStepModel model(5, bigram(), 8);
  const std::vector<std::vector<int32_t>> sequences = {std::vector<int32_t>(16, 1), {1, 2}};
  const std::vector<int64_t> prompts = {6, 1};
  score_windowed(model, sequences, {.stride = 4, .parts = {.prompts = prompts}});
  EXPECT_EQ(model.scored_prompts, (std::vector<int64_t>{6, 2, 0, 1}));
  model.scored_prompts.clear();
  score_windowed(model, sequences);
  EXPECT_TRUE(model.scored_prompts.empty());
}

TEST(ScoreWindowed, CallsAreBoundedAndCounted) {
  FakeStepModel model(5, bigram(), 8);
  const std::vector<std::vector<int32_t>> sequences(6, {1, 2, 3, 4, 0});
  std::vector<int64_t> completed;
  score_windowed(model, sequences, {.max_tokens_per_call = 10},
                 [&](int64_t count) { completed.push_back(count); });
  EXPECT_EQ(completed, (std::vector<int64_t>{2, 2, 2}));
  completed.clear();
  score_windowed(model, sequences, {.max_tokens_per_call = 1},
                 [&](int64_t count) { completed.push_back(count); });
  EXPECT_EQ(completed.size(), 6U);
}

TEST(ScoreWindowed, RefusesWhatCannotBeScored) {
  FakeStepModel model(5, bigram(), 8);
  const auto refuses = [&](std::vector<int32_t> ids, WindowOptions options = {}) {
    EXPECT_THROW(score_windowed(model, std::span(&ids, 1), options), Error);
  };
  refuses({});
  refuses({1, 5});
  refuses({-1});
  refuses({1, 2}, {.stride = 8});
  refuses({1, 2}, {.stride = -1});
}

TEST(ScoreWindowed, NoInfinityAndNoNan) {
  FakeStepModel impossible(5, [](FakeStepModel::History) {
    return std::vector<float>{0, -std::numeric_limits<float>::infinity(), 0, 0, 0};
  });
  const std::vector<int32_t> ids = {0, 1};
  EXPECT_EQ(score_windowed(impossible, std::span(&ids, 1))[0].logprobs[0], -9999.0F);
  FakeStepModel broken(5, [](FakeStepModel::History) { return std::vector<float>(5, NAN); });
  try {
    score_windowed(broken, std::span(&ids, 1));
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDiverged);
  }
}

TEST(ScoreText, JsonHasNullFirst) {
  const FakeTokenizer tokenizer({"a", "b", "c", "<bos>", "<eos>"}, /*adds_bos=*/true);
  FakeStepModel model(5, [](FakeStepModel::History) { return std::vector<float>(5, 0.0F); });
  const TextScore score = score_text(model, tokenizer, "abc");
  const Json json = score_json(score);
  EXPECT_EQ(json["token_ids"], Json({3, 0, 1, 2}));
  ASSERT_EQ(json["logprobs"].size(), 4U);
  EXPECT_TRUE(json["logprobs"][0].is_null());
  for (size_t i = 1; i < 4; ++i)
    EXPECT_NEAR(json["logprobs"][i].get<double>(), -std::log(5.0), 1e-6);
  EXPECT_NEAR(json["perplexity"].get<double>(), 5.0, 1e-5);
}

TEST(ScoreText, EmptyTextIsRefused) {
  const FakeTokenizer tokenizer({"a", "<eos>"});
  FakeStepModel model(2, [](FakeStepModel::History) { return std::vector<float>(2, 0.0F); });
  EXPECT_THROW(score_text(model, tokenizer, ""), Error);
  EXPECT_EQ(score_json(score_text(model, tokenizer, "a"))["logprobs"], Json::array({nullptr}));
}

}  // namespace
}  // namespace lmoe::eval
