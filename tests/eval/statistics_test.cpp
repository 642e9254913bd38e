#include <cmath>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "eval/compare.h"
#include "eval/interval.h"

namespace lmoe::eval {
namespace {

std::vector<Outcome> flips(std::initializer_list<int> values) {
  std::vector<Outcome> outcomes;
  for (const int value : values) outcomes.push_back({static_cast<double>(value), 1.0});
  return outcomes;
}

TEST(NormalQuantile, TabulatedValues) {
  EXPECT_NEAR(normal_quantile(0.5), 0.0, 1e-12);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.995), 2.5758293035489004, 1e-12);
  EXPECT_NEAR(normal_quantile(0.05), -1.6448536269514722, 1e-12);
}

// Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in
// Medicine 17, table I, method 3 (score without continuity correction), 95 %.
TEST(WilsonInterval, EqualsNewcombesTable) {
  const auto check = [](double successes, double n, double low, double high) {
    const Interval interval = wilson_interval(successes, n, 0.95);
    EXPECT_NEAR(interval.low, low, 5e-5) << successes << " of " << n;
    EXPECT_NEAR(interval.high, high, 5e-5) << successes << " of " << n;
  };
  check(81, 263, 0.2553, 0.3662);
  check(15, 148, 0.0624, 0.1605);
  check(0, 20, 0.0, 0.1611);
  check(1, 29, 0.0061, 0.1718);
}

TEST(WilsonInterval, IsSymmetricAndStaysInside) {
  const Interval few = wilson_interval(3, 50, 0.95);
  const Interval many = wilson_interval(47, 50, 0.95);
  EXPECT_NEAR(few.low, 1.0 - many.high, 1e-12);
  EXPECT_NEAR(few.high, 1.0 - many.low, 1e-12);
  EXPECT_NEAR(wilson_interval(5, 5, 0.95).high, 1.0, 1e-12);
  EXPECT_GE(wilson_interval(0, 1, 0.99).low, 0.0);
}

TEST(BootstrapInterval, IsNearTheNormalOneForAMean) {
  Rng rng(5);
  std::vector<double> values(400);
  double mean = 0.0;
  for (double& value : values) mean += (value = 3.0 + 2.0 * rng.normal()) / 400;
  double variance = 0.0;
  for (const double value : values) variance += (value - mean) * (value - mean) / 400;
  const double half = 1.96 * std::sqrt(variance / 400);
  const auto statistic = [&](std::span<const int32_t> drawn) {
    double sum = 0.0;
    for (const int32_t index : drawn) sum += values[index];
    return sum / static_cast<double>(drawn.size());
  };
  const Interval interval = bootstrap_interval(400, statistic, 0.95, 4000, 1);
  // The error of a resampled quantile is about 0.03 standard errors at 4000 samples; allow 0.15.
  EXPECT_NEAR(interval.low, mean - half, 0.15 * half);
  EXPECT_NEAR(interval.high, mean + half, 0.15 * half);
  const Interval again = bootstrap_interval(400, statistic, 0.95, 4000, 1);
  EXPECT_EQ(interval.low, again.low);
  EXPECT_NE(interval.low, bootstrap_interval(400, statistic, 0.95, 4000, 2).low);
}

TEST(IntervalOf, SpreadOfPerplexityIsThatOfRecords) {
  EvalOptions options;
  const std::vector<Outcome> equal(10, {4.0, 2.0});
  const auto none = interval_of(Metric::kPerplexity, equal, options);
  ASSERT_TRUE(none);
  EXPECT_NEAR(none->low, std::exp(2.0), 1e-12);
  EXPECT_NEAR(none->high, std::exp(2.0), 1e-12);
  EXPECT_FALSE(interval_of(Metric::kPerplexity, std::span(equal).first(1), options));
  const std::vector<Outcome> mixed = {{1, 1}, {2, 1}, {3, 1}, {4, 1}};
  const auto spread = interval_of(Metric::kPerplexity, mixed, options);
  EXPECT_LT(spread->low, std::exp(2.5));
  EXPECT_GT(spread->high, std::exp(2.5));
}

TEST(ScoreOf, WeighsTokensNotRecords) {
  const std::vector<Outcome> outcomes = {{10.0, 1.0}, {0.0, 3.0}};
  EXPECT_NEAR(score_of(Metric::kPerplexity, outcomes), std::exp(2.5), 1e-12);
  EXPECT_NEAR(score_of(Metric::kChoice, flips({1, 0, 0, 0})), 0.25, 1e-12);
  EXPECT_THROW(score_of(Metric::kPerplexity, std::vector<Outcome>{{0.0, 0.0}}), Error);
}

// Of a fair coin: P(at most 2 of 12) = (1 + 12 + 66) / 4096.
TEST(McNemar, IsTheExactBinomialTest) {
  EXPECT_NEAR(mcnemar_p_value(10, 2), 2 * 79.0 / 4096.0, 1e-12);
  EXPECT_NEAR(mcnemar_p_value(2, 10), mcnemar_p_value(10, 2), 1e-15);
  EXPECT_NEAR(mcnemar_p_value(0, 5), 2 / 32.0, 1e-12);
  EXPECT_EQ(mcnemar_p_value(0, 0), 1.0);
  EXPECT_EQ(mcnemar_p_value(4, 4), 1.0);
}

TEST(Compare, PairsRecords) {
  std::vector<Outcome> first;
  std::vector<Outcome> second;
  for (int i = 0; i < 60; ++i) {
    first.push_back({i % 3 == 0 ? 1.0 : 0.0, 1.0});
    second.push_back({i % 3 == 0 || i < 15 ? 1.0 : 0.0, 1.0});
  }
  const Comparison result = compare(Metric::kExactMatch, first, second, {});
  EXPECT_NEAR(result.difference, 10 / 60.0, 1e-12);
  EXPECT_GT(result.interval.low, 0.0);
  EXPECT_NEAR(*result.p_value, 2 / 1024.0, 1e-12) << "ten records, all one way";
  const Comparison same = compare(Metric::kExactMatch, first, first, {});
  EXPECT_EQ(same.interval.low, 0.0);
  EXPECT_EQ(same.interval.high, 0.0);
  EXPECT_EQ(*same.p_value, 1.0);
}

TEST(Compare, NeedsTheSameRecords) {
  EXPECT_THROW(compare(Metric::kChoice, flips({1, 0}), flips({1}), {}), Error);
  EXPECT_THROW(compare(Metric::kChoice, {}, {}, {}), Error);
}

}  // namespace
}  // namespace lmoe::eval
