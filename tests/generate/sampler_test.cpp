#include "generate/sampler.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "generate/generate_options.h"

namespace lmoe::generate {
namespace {

text::TokenId sample_once(Sampler& sampler, std::vector<float> logits) {
  return sampler.sample(logits, {});
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sample_once(sampler, {0, 5, 5, 1}), 1);
}

TEST(Sampler, PenaltyActsOnGreedyToo) {
  Sampler sampler({.repetition_penalty = 2.0});
  std::vector<float> logits = {0, 5, 4, 1};
  const std::vector<text::TokenId> history = {1};
  EXPECT_EQ(sampler.sample(logits, history), 2);
}

TEST(Sampler, SameSeedSameDraws) {
  const SampleOptions options{.temperature = 1.0, .seed = 7};
  Sampler a(options);
  Sampler b(options);
  Sampler c({.temperature = 1.0, .seed = 8});
  bool differs = false;
  for (int i = 0; i < 64; ++i) {
    const std::vector<float> logits = {0, 0, 0, 0, 0, 0};
    const auto drawn = sample_once(a, logits);
    EXPECT_EQ(drawn, sample_once(b, logits));
    differs = differs || drawn != sample_once(c, logits);
  }
  EXPECT_TRUE(differs);
}

TEST(Sampler, FollowsTheDistribution) {
  // Probabilities 1/2, 1/3, 1/6 at temperature 1; at temperature 0.5 their squares, normalised:
  // 9/14, 4/14, 1/14.
  const std::vector<float> logits = {std::log(3.0F), std::log(2.0F), 0.0F};
  constexpr int kDraws = 20000;
  const auto check = [&](double temperature, std::vector<double> expected) {
    Sampler sampler({.temperature = temperature, .seed = 1});
    std::vector<int> counts(3);
    for (int i = 0; i < kDraws; ++i) ++counts[sample_once(sampler, logits)];
    for (size_t i = 0; i < 3; ++i) {
      const double sigma = std::sqrt(expected[i] * (1 - expected[i]) / kDraws);
      EXPECT_NEAR(counts[i] / static_cast<double>(kDraws), expected[i], 4 * sigma) << i;
    }
  };
  check(1.0, {1 / 2.0, 1 / 3.0, 1 / 6.0});
  check(0.5, {9 / 14.0, 4 / 14.0, 1 / 14.0});
}

TEST(Sampler, NeverDrawsWhatAFilterRemoved) {
  Sampler sampler({.temperature = 5.0, .top_k = 2});
  for (int i = 0; i < 500; ++i) EXPECT_NE(sample_once(sampler, {1, 0, 2}), 1);
}

TEST(Sampler, RefusesLogitsThatAreNotNumbers) {
  Sampler sampler({.temperature = 1.0});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const auto& logits : std::vector<std::vector<float>>{
           {0, nan, 1}, {nan, 0, 1}, {-infinity, -infinity}, {0, infinity}}) {
    try {
      sample_once(sampler, logits);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDiverged);
    }
  }
}

TEST(SampleOptions, OutOfRangeIsNamed) {
  const auto message = [](const SampleOptions& options) -> std::string {
    try {
      Sampler sampler(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message({.temperature = -1.0}).find("temperature"), std::string::npos);
  EXPECT_NE(message({.temperature = std::nan("")}).find("temperature"), std::string::npos);
  EXPECT_NE(message({.top_k = -1}).find("top_k"), std::string::npos);
  EXPECT_NE(message({.top_p = 1.5}).find("top_p"), std::string::npos);
  EXPECT_NE(message({.min_p = -0.1}).find("min_p"), std::string::npos);
  EXPECT_NE(message({.repetition_penalty = 0.0}).find("repetition_penalty"), std::string::npos);
}

TEST(GenerateOptions, AreReadFlat) {
  GenerateOptions options;
  ReadReport report;
  OptionReader(report).read(
      parse_config("{max_tokens: 5, temperature: 0.5, stop: [a, b], top_k: 3}", "test"), options);
  EXPECT_EQ(options.max_new_tokens, 5);
  EXPECT_EQ(options.sampling.temperature, 0.5);
  EXPECT_EQ(options.sampling.top_k, 3);
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(report.notes.size(), 1U);
}

TEST(GenerateOptions, EmptyStopTextIsRefused) {
  EXPECT_THROW(check_generate_options({.stop = {"x", ""}}), Error);
  EXPECT_THROW(check_generate_options({.max_new_tokens = 0}), Error);
}

}  // namespace
}  // namespace lmoe::generate
