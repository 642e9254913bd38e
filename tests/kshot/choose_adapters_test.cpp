// k-shot.md: ranks, subsets and what its invariants promise of them.
#include "kshot/choose_adapters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/rng.h"

namespace lmoe::kshot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Cosines = std::vector<std::vector<double>>;

/// Five adapters; the second and the fifth are equally accurate, the first two equally sure.
std::vector<AdapterScore> bank() {
  return {{0.7, 0.4}, {0.7, 0.6}, {0.2, 0.1}, {1.5, 0.9}, {0.9, 0.6}};
}

std::vector<int64_t> sums(const std::vector<AdapterRanks>& ranks) {
  std::vector<int64_t> result;
  for (const AdapterRanks& one : ranks) result.push_back(one.sum());
  return result;
}

/// Symmetric, 1 on the diagonal; `upper` row by row.
Cosines matrix(size_t size, std::vector<double> upper) {
  Cosines cosines(size, std::vector<double>(size, 1.0));
  size_t next = 0;
  for (size_t i = 0; i < size; ++i)
    for (size_t j = i + 1; j < size; ++j) cosines[i][j] = cosines[j][i] = upper.at(next++);
  return cosines;
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(RankAdapters, BeginAtOneAndOfEqualsTheFirstIsBetter) {
  const auto ranks = rank_adapters(bank());
  std::vector<int64_t> perplexity, accuracy;
  for (const AdapterRanks& one : ranks) {
    perplexity.push_back(one.perplexity);
    accuracy.push_back(one.accuracy);
  }
  EXPECT_THAT(perplexity, ElementsAre(2, 3, 1, 5, 4));
  EXPECT_THAT(accuracy, ElementsAre(4, 2, 5, 1, 3));
}

TEST(Preselect, TakesTheSmallestSumsAndOfEqualsTheFirst) {
  const auto ranks = rank_adapters(bank());
  ASSERT_THAT(sums(ranks), ElementsAre(6, 5, 6, 6, 7));
  EXPECT_THAT(preselect(ranks, 1), ElementsAre(1));
  EXPECT_THAT(preselect(ranks, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(preselect(ranks, 5), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(refusal([&] { preselect(ranks, 6); }), HasSubstr("given 6, expected 1 to 5"));
  EXPECT_THAT(refusal([&] { preselect(ranks, 0); }), HasSubstr("given 0"));
}

// Worked by hand. Sums of ranks of adapters 0, 1, 3: 6, 5, 6; pairs (0,1) 0.5, (0,3) -0.25,
// (1,3) 0.1, so diversity ranks 3, 1, 2 and totals 11 + 3, 12 + 1, 11 + 2.
TEST(RankSubsets, EqualsTheWorkedExampleWithCosinesBelowZero) {
  const auto ranks = rank_adapters(bank());
  const auto subsets = rank_subsets(ranks, {0, 1, 3}, matrix(3, {0.5, -0.25, 0.1}), 2);
  ASSERT_EQ(subsets.size(), 3u);
  EXPECT_THAT(subsets[0].members, ElementsAre(0, 3));  // 13, as the next, and comes before it
  EXPECT_EQ(subsets[0].rank_sum, 12);
  EXPECT_EQ(subsets[0].diversity_rank, 1);
  EXPECT_DOUBLE_EQ(subsets[0].mean_cosine, -0.25);
  EXPECT_THAT(subsets[1].members, ElementsAre(1, 3));
  EXPECT_EQ(subsets[1].total(), 13);
  EXPECT_THAT(subsets[2].members, ElementsAre(0, 1));
  EXPECT_EQ(subsets[2].total(), 14);
}

TEST(RankSubsets, MeanIsOverAllPairsOfASubset) {
  const auto ranks = rank_adapters(bank());
  const auto subsets =
      rank_subsets(ranks, {0, 1, 2, 3}, matrix(4, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}), 3);
  ASSERT_EQ(subsets.size(), 4u);
  const auto one = std::find_if(subsets.begin(), subsets.end(), [](const Subset& subset) {
    return subset.members == Members{0, 2, 3};
  });
  ASSERT_NE(one, subsets.end());
  EXPECT_DOUBLE_EQ(one->mean_cosine, (0.2 + 0.3 + 0.6) / 3);
}

TEST(RankSubsets, AllCandidatesAreTheOnlySubsetOfTheirNumber) {
  const auto ranks = rank_adapters(bank());
  const auto subsets = rank_subsets(ranks, {0, 2, 4}, matrix(3, {0.9, 0.9, 0.9}), 3);
  ASSERT_EQ(subsets.size(), 1u);
  EXPECT_THAT(subsets[0].members, ElementsAre(0, 2, 4));
  EXPECT_EQ(subsets[0].diversity_rank, 1);
}

TEST(RankSubsets, ThereAreSeventyOfFourOutOfEight) {
  const std::vector<AdapterRanks> ranks(8, AdapterRanks{1, 1});
  const auto subsets =
      rank_subsets(ranks, {0, 1, 2, 3, 4, 5, 6, 7}, matrix(8, std::vector<double>(28, 0.5)), 4);
  EXPECT_EQ(subsets.size(), 70u);
  EXPECT_THAT(subsets.front().members, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(subsets.back().members, ElementsAre(4, 5, 6, 7));
}

TEST(Selection, DependsOnTheOrderOfScoresAlone) {
  Rng rng(3);
  std::vector<AdapterScore> scores(9), other;
  for (AdapterScore& one : scores)
    one = {3 * rng.uniform(), std::floor(8 * rng.uniform()) / 8};  // some are equally accurate
  for (const AdapterScore& one : scores)
    other.push_back({std::exp(one.log_perplexity) - 7, std::pow(one.accuracy, 3)});
  std::vector<double> upper;
  for (int i = 0; i < 15; ++i) upper.push_back(2 * rng.uniform() - 1);
  const auto ranks = rank_adapters(scores), same = rank_adapters(other);
  const Members few = preselect(ranks, 6);
  ASSERT_EQ(preselect(same, 6), few);
  const auto subsets = rank_subsets(ranks, few, matrix(6, upper), 3);
  const auto again = rank_subsets(same, few, matrix(6, upper), 3);
  for (size_t i = 0; i < subsets.size(); ++i) EXPECT_EQ(subsets[i].members, again[i].members);
}

TEST(RankSubsets, RefusesSizesThatCannotBe) {
  EXPECT_THAT(refusal([] { check_subset_size(4, 5); }), HasSubstr("given 5, expected 2 to 4"));
  EXPECT_THAT(refusal([] { check_subset_size(4, 1); }), HasSubstr("given 1"));
  EXPECT_THAT(refusal([] { check_subset_size(60, 30); }), HasSubstr("preselect fewer"));
  check_subset_size(38, 4);
}

}  // namespace
}  // namespace lmoe::kshot
