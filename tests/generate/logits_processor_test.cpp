#include "generate/logits_processor.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/files.h"
#include "generate/min_p.h"
#include "generate/top_k.h"
#include "generate/top_p.h"

namespace lmoe::generate {
namespace {

SampleOptions options_from(const Json& json) {
  SampleOptions options;
  ReadReport report;
  OptionReader(report).read(config_from_json(json, "fixture"), options);
  return options;
}

std::vector<float> process(LogitsProcessor&& step, std::vector<float> logits) {
  step.process(logits, {});
  return logits;
}

size_t survivors(const std::vector<float>& logits) {
  return static_cast<size_t>(
      std::count_if(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }));
}

TEST(LogitsProcessors, EqualTransformers) {
  const Json cases = Json::parse(read_file(LMOE_FIXTURES "/generate/logits_processors.json"));
  ASSERT_GE(cases.size(), 13U);
  for (const Json& item : cases) {
    SCOPED_TRACE(item["options"].dump());
    auto logits = item["logits"].get<std::vector<float>>();
    const auto history = item["history"].get<std::vector<text::TokenId>>();
    SampleOptions options = options_from(item["options"]);
    const Json& expected = item["expected"];
    for (const auto& step : make_processor_chain(options)) step->process(logits, history);
    for (size_t i = 0; i < logits.size(); ++i) {
      ASSERT_EQ(expected[i].is_null(), std::isinf(logits[i])) << "id " << i;
      if (expected[i].is_null()) continue;
      ASSERT_NEAR(expected[i].get<float>(), logits[i], 1e-6 * std::abs(logits[i])) << "id " << i;
    }
  }
}

TEST(LogitsProcessors, DefaultsChangeNothing) {
  EXPECT_TRUE(make_processor_chain({}).empty());
  EXPECT_TRUE(make_processor_chain({.temperature = 1.0}).empty());
}

TEST(LogitsProcessors, GreedyNeedsNoFilter) {
  EXPECT_TRUE(make_processor_chain({.top_k = 3, .top_p = 0.5, .min_p = 0.1}).empty());
}

TEST(LogitsProcessors, TopKKeepsTies) {
  EXPECT_EQ(survivors(process(TopK(2), {1, 3, 2, 2, 0})), 3U);
  EXPECT_EQ(survivors(process(TopK(9), {1, 3, 2, 2, 0})), 5U);
}

TEST(LogitsProcessors, TopPKeepsTheFewest) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.2F), std::log(0.3F)};
  EXPECT_EQ(survivors(process(TopP(0.49), logits)), 1U);
  EXPECT_EQ(survivors(process(TopP(0.51), logits)), 2U);
  EXPECT_EQ(survivors(process(TopP(0.81), logits)), 3U);
}

TEST(LogitsProcessors, FiltersAlwaysLeaveOne) {
  EXPECT_EQ(survivors(process(TopP(0.0), {1, 1, 1})), 1U);
  EXPECT_GE(survivors(process(MinP(1.0), {1, 0, 1})), 1U);
}

}  // namespace
}  // namespace lmoe::generate
