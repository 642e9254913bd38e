#include "eval/evaluate.h"

#include <cmath>

#include <gtest/gtest.h>

#include "eval_fakes.h"

namespace lmoe::eval {
namespace {

using test::FakeStepModel;

/// Two experts at three sites in two layers. Expert 0 knows the answer "a", expert 1 knows nothing;
/// the router trusts expert 0 more at the letter a.
class RoutedModel : public FakeStepModel {
 public:
  RoutedModel()
      : FakeStepModel(kSmallVocab, [this](History ids) {
          if (disabled_expert == 0) return std::vector<float>(kSmallVocab, 0.0F);
          return always_says(" a")(ids);
        }) {
    router_info = {{"knows", "idle"}, {"layers.0.q", "layers.0.v", "layers.1.q"}, {0, 0, 1}};
    routing_of = [](History ids) {
      const float first = ids.back() == 0 ? 0.75F : 0.25F;
      return decode::TokenRouting{{first, 1 - first, 0.5F, 0.5F, 0.0F, 1.0F}};
    };
  }
};

EvalTask answers() {
  return task_of(Metric::kExactMatch, {answer_item("b", "a"), answer_item("c", "a")});
}

TEST(RouterUsage, CountsEveryToken) {
  RoutedModel model;
  const EvalOptions options;
  const EvalHooks hooks;
  // Each record: a prompt letter, space, a, end; a quarter of the tokens is the letter a.
  const RouterUsage usage =
      measure_router_usage({model, small_tokenizer(), options, hooks}, answers());
  EXPECT_EQ(usage.tokens, 8);
  EXPECT_NEAR(usage.weight[0], 0.25 * 0.75 + 0.75 * 0.25, 1e-9);
  EXPECT_NEAR(usage.load[0], 0.25, 1e-9);
  EXPECT_NEAR(usage.load[1], 0.75, 1e-9);
  EXPECT_NEAR(usage.entropy[0], -0.25 * std::log(0.25) - 0.75 * std::log(0.75), 1e-6);
  EXPECT_NEAR(usage.entropy[1], std::log(2.0), 1e-6);
  EXPECT_NEAR(usage.entropy[2], 0.0, 1e-9);
  EXPECT_NEAR(usage.weight[5], 1.0, 1e-9);
  EXPECT_TRUE(model.all_closed());

  const Json json = usage_json(usage, *model.router());
  ASSERT_EQ(json["layers"].size(), 2U);
  EXPECT_EQ(json["layers"][1]["layer"], 1);
  EXPECT_NEAR(json["layers"][0]["weights"][0].get<double>(), (usage.weight[0] + 0.5) / 2, 1e-9);
  EXPECT_NEAR(json["load"][0].get<double>(), (0.25 + 1.0 + 0.0) / 3, 1e-9)
      << "equals go to the first";
}

/// Every sequence that begins has two of three entries in front: one of its first letter, and 2.
class PromptedModel : public FakeStepModel {
 public:
  explicit PromptedModel(int64_t max_positions = 64)
      : FakeStepModel(kSmallVocab, always_says(" a"), max_positions) {
    is_pooled = true;
  }
  int64_t prompt_entries() const override { return 3; }
  decode::StepOutput step(std::span<const decode::StepInput> inputs, bool want_routing) override {
    decode::StepOutput output = FakeStepModel::step(inputs, want_routing);
    for (const decode::StepInput& input : inputs)
      output.prompts.push_back({input.ids[0] == 0 ? 0 : 1, 2});
    if (!want_routing) output.prompts.clear();
    return output;
  }
};

TEST(PromptUsage, CountsWhatStandsInFrontOfRecords) {
  PromptedModel model;
  EvalOptions options;
  options.usage_records = 4;
  const EvalTask task = task_of(
      Metric::kExactMatch, {answer_item("a", "a"), answer_item("b", "a"), answer_item("ca", "a"),
                            answer_item("cb", "a"), answer_item("a", "a")});
  const EvalHooks hooks;
  const PromptUsage usage = measure_prompt_usage({model, small_tokenizer(), options, hooks}, task);
  EXPECT_EQ(usage.records, 4);
  EXPECT_EQ(usage.share, (std::vector<double>{0.25, 0.75, 1.0}));
  EXPECT_EQ(usage.nearest, (std::vector<double>{0.25, 0.75, 0.0}));
  EXPECT_EQ(model.fed_prompts, (std::vector<int64_t>{1, 1, 2, 2})) << "prompts alone, whole";
  EXPECT_TRUE(model.all_closed());

  const EvalResult result =
      evaluate(model, small_tokenizer(), std::span(&task, 1), options, hooks, "m");
  const Json json = result_json(result);
  EXPECT_EQ(json["tasks"][0]["prompts"]["share"], Json(usage.share));
  EXPECT_FALSE(json["tasks"][0].contains("router"));
  EXPECT_NE(result_table(result).find("2: 100.0 %, 1: 75.0 %, 0: 25.0 %"), std::string::npos);
}

TEST(PromptUsage, LongPromptsLoseTheirBeginning) {
  PromptedModel model(/*max_positions=*/8);
  const EvalOptions options;
  const EvalHooks hooks;
  const EvalTask task = task_of(Metric::kExactMatch, {answer_item("bbbbbbaaaa", "ab")});
  const PromptUsage usage = measure_prompt_usage({model, small_tokenizer(), options, hooks}, task);
  EXPECT_EQ(usage.nearest, (std::vector<double>{1.0, 0.0, 0.0})) << "it begins with an a now";
  EXPECT_EQ(model.fed_prompts, std::vector<int64_t>{4}) << "as many as exact_match answers";
}

TEST(Ablation, ShowsWhatAnExpertIsWorth) {
  RoutedModel model;
  const EvalOptions options;
  const EvalHooks hooks;
  const Ablation ablation = measure_ablation({model, small_tokenizer(), options, hooks}, answers());
  ASSERT_EQ(ablation.experts.size(), 2U);
  EXPECT_EQ(ablation.n, 2);
  EXPECT_EQ(ablation.score, 1.0);
  EXPECT_EQ(ablation.experts[0].expert, "knows");
  EXPECT_EQ(ablation.experts[0].score_change, -1.0);
  // Without it the model is uniform over six; with it the right token has e^8 against five others.
  EXPECT_NEAR(ablation.experts[0].loss_change, std::log(6.0) - std::log1p(5 * std::exp(-8.0)),
              1e-5);
  EXPECT_EQ(ablation.experts[1].score_change, 0.0);
  EXPECT_EQ(ablation.experts[1].loss_change, 0.0);
  EXPECT_FALSE(model.disabled_expert.has_value());
}

TEST(Ablation, PutsExpertsBackAfterAnError) {
  RoutedModel model;
  const EvalOptions options;
  const EvalHooks hooks{.is_cancelled = [&] { return model.disabled_expert == 1; }};
  EXPECT_THROW(measure_ablation({model, small_tokenizer(), options, hooks}, answers()), Error);
  EXPECT_FALSE(model.disabled_expert.has_value());
}

TEST(Samples, TellTheExpertOfEachToken) {
  RoutedModel model;
  const EvalOptions options;
  const EvalHooks hooks;
  const auto samples = make_samples({model, small_tokenizer(), options, hooks}, answers());
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(samples[0].prompt, "b");
  EXPECT_EQ(samples[0].answer, " a");
  ASSERT_EQ(samples[0].tokens.size(), 3U) << "space, a, end";
  EXPECT_EQ(samples[0].tokens[1].text, "a");
  EXPECT_EQ(samples[0].tokens[1].expert, 1);
  // Made where the space was read: (0.25 + 0.5 + 0) / 3.
  EXPECT_NEAR(samples[0].tokens[1].weights[0], 0.25, 1e-6);
  // The end is made where a was read: (0.75 + 0.5 + 0) / 3.
  EXPECT_NEAR(samples[0].tokens[2].weights[0], 1.25 / 3, 1e-6);
}

TEST(Evaluate, JsonHasThePromisedKeys) {
  RoutedModel model;
  const std::vector<EvalTask> tasks = {answers()};
  const EvalResult result = evaluate(model, small_tokenizer(), tasks, {}, {}, "routed");
  const Json json = Json::parse(result_json(result).dump());
  EXPECT_EQ(json["model"], "routed");
  EXPECT_EQ(json["router"]["experts"], Json({"knows", "idle"}));
  ASSERT_EQ(json["tasks"].size(), 1U);
  const Json& task = json["tasks"][0];
  EXPECT_EQ(task["task"], "small");
  EXPECT_EQ(task["metric"], "exact_match");
  EXPECT_EQ(task["score"], 1.0);
  EXPECT_EQ(task["n"], 2);
  // Wilson for 2 of 2: n / (n + z²).
  EXPECT_NEAR(task["ci_low"].get<double>(), 2 / (2 + 1.959963984540054 * 1.959963984540054), 1e-9);
  EXPECT_EQ(task["ci_high"], 1.0);
  EXPECT_EQ(task["router"]["tokens"], 8);
  EXPECT_EQ(task["ablation"]["experts"].size(), 2U);
  EXPECT_EQ(task["samples"][0]["tokens"][0]["expert"], 1);
}

TEST(Evaluate, PlainModelsHaveNoRouterParts) {
  FakeStepModel model(kSmallVocab, always_says(" a"));
  const std::vector<EvalTask> tasks = {answers()};
  const EvalResult result = evaluate(model, small_tokenizer(), tasks, {});
  const Json json = result_json(result);
  EXPECT_FALSE(json.contains("router"));
  EXPECT_FALSE(json["tasks"][0].contains("ablation"));
  EXPECT_FALSE(json["tasks"][0]["samples"][0]["tokens"][0].contains("expert"));
  EXPECT_EQ(result_table(result),
            "task        metric  score   95 % interval  n\n"
            "small  exact_match  1.000  0.342 to 1.000  2\n");
}

TEST(Evaluate, TableShowsExperts) {
  RoutedModel model;
  const std::vector<EvalTask> tasks = {answers()};
  const std::string table = result_table(evaluate(model, small_tokenizer(), tasks, {}));
  EXPECT_NE(table.find("knows"), std::string::npos);
  EXPECT_NE(table.find("-1.000  +0.000"), std::string::npos) << table;
}

TEST(Evaluate, RefusesNothingAndEqualNames) {
  RoutedModel model;
  EXPECT_THROW(evaluate(model, small_tokenizer(), {}, {}), Error);
  const std::vector<EvalTask> twice = {answers(), answers()};
  EXPECT_THROW(evaluate(model, small_tokenizer(), twice, {}), Error);
}

TEST(Comparison, MarksClearDifferences) {
  const EvalTask task =
      task_of(Metric::kExactMatch, std::vector<EvalItem>(10, answer_item("b", "a")));
  FakeStepModel good(kSmallVocab, always_says(" a"));
  FakeStepModel bad(kSmallVocab, always_says(" b"));
  const std::vector<EvalTask> tasks = {task};
  const std::vector<EvalResult> results = {
      evaluate(bad, small_tokenizer(), tasks, {}, {}, "base"),
      evaluate(good, small_tokenizer(), tasks, {}, {}, "mixture")};
  EXPECT_EQ(comparison_table(results, {}),
            "task        metric   n   base  mixture\n"
            "small  exact_match  10  0.000  1.000 *\n");
  const Json json = comparison_json(results, {});
  ASSERT_EQ(json.size(), 1U);
  EXPECT_EQ(json[0]["difference"], 1.0);
  EXPECT_NEAR(json[0]["p_value"].get<double>(), 2 / 1024.0, 1e-12);
  std::vector<EvalResult> different = results;
  different[1].tasks[0].n = 9;
  EXPECT_THROW(comparison_table(different, {}), Error);
}

}  // namespace
}  // namespace lmoe::eval
