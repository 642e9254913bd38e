// Pair accuracy over a model whose rewards are written in the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/evaluate.h"
#include "eval_fakes.h"

namespace lmoe::eval {
namespace {

using ::testing::HasSubstr;

/// A reward is the sum of the ids, and more for documents of task 1.
class SummingModel : public test::FakeStepModel {
 public:
  SummingModel() : FakeStepModel(kSmallVocab, always_says("a")) {}
  std::optional<std::vector<double>> rewards(
      std::span<const decode::RewardRequest> documents) override {
    std::vector<double> sums;
    for (const decode::RewardRequest& document : documents) {
      sums.push_back(document.task == 1 ? 100.0 * static_cast<double>(document.ids.size()) : 0.0);
      for (const int32_t id : document.ids) sums.back() += id;
    }
    largest_call = std::max(largest_call, documents.size());
    return sums;
  }
  size_t largest_call = 0;
};

EvalItem pair(std::vector<text::TokenId> chosen, std::vector<text::TokenId> rejected) {
  EvalItem item;
  item.ids = std::move(chosen);
  item.rejected = std::move(rejected);
  return item;
}

EvalTask pairs() {
  EvalTask task = task_of(Metric::kPairAccuracy, {pair({4, 1}, {1, 1}), pair({1}, {1}),
                                                  pair({2}, {1, 0}), pair({0}, {3})});
  task.has_answers = false;
  return task;
}

TEST(PairAccuracy, CountsPairsInTheRightOrder) {
  SummingModel model;
  const EvalResult result =
      evaluate(model, small_tokenizer(), std::vector<EvalTask>{pairs()}, {.sample_generations = 4});
  const TaskResult& task = result.tasks[0];
  EXPECT_EQ(task.score, 0.5);  // equal rewards are no preference
  EXPECT_EQ(task.n, 4);
  EXPECT_EQ(task.extra["mean_margin"], (3.0 + 0.0 + 1.0 - 3.0) / 4);
  const Interval wilson = wilson_interval(2, 4, 0.95);
  EXPECT_EQ(task.interval->low, wilson.low);
  EXPECT_EQ(task.interval->high, wilson.high);
  EXPECT_EQ(result_json(result)["tasks"][0]["metric"], "pair_accuracy");
  EXPECT_TRUE(result_json(result)["tasks"][0]["higher_is_better"].get<bool>());
}

TEST(PairAccuracy, TellsTheModelWhichTaskItIs) {
  SummingModel model;
  EvalTask task = pairs();
  task.task = 1;
  task = first_items(task, 3);
  EXPECT_EQ(task.items.size(), 3u);
  const EvalResult result = evaluate(model, small_tokenizer(), std::vector<EvalTask>{task}, {});
  EXPECT_EQ(result.tasks[0].score, 1.0 / 3);  // the longer side wins
}

TEST(PairAccuracy, GoesThroughTheModelInParts) {
  SummingModel model;
  EvalTask task = pairs();
  while (task.items.size() < 40) task.items.push_back(pair({3}, {1}));
  int64_t done = 0;
  EvalHooks hooks;
  hooks.on_progress = [&](const EvalProgress& progress) { done = progress.done; };
  evaluate(model, small_tokenizer(), std::vector<EvalTask>{task}, {}, hooks);
  EXPECT_EQ(model.largest_call, 32u);
  EXPECT_EQ(done, 40);
}

TEST(PairAccuracy, NeedsARewardModel) {
  test::FakeStepModel model(kSmallVocab, always_says("a"));
  try {
    evaluate(model, small_tokenizer(), std::vector<EvalTask>{pairs()}, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs a reward model"));
  }
}

TEST(PairAccuracy, BelongsToPreferenceRecords) {
  EXPECT_EQ(resolve_metric(Metric::kAuto, data::RecordType::kPreference), Metric::kPairAccuracy);
  data::Dataset set;
  set.name = set.file = "d";
  set.type = data::RecordType::kPreference;
  data::Record record;
  record.prompt = "a";
  record.response = "b";
  record.rejected = "cc";
  set.records = {record};
  const data::Renderer renderer(std::make_shared<test::FakeTokenizer>(small_tokenizer()), nullptr,
                                {});
  const EvalTask task = make_task(set, renderer, Metric::kAuto);
  EXPECT_EQ(task.metric, Metric::kPairAccuracy);
  EXPECT_FALSE(task.has_answers);
  EXPECT_EQ(task.items[0].ids.size() + 1, task.items[0].rejected.size());
  EXPECT_THROW(make_task(set, renderer, Metric::kPerplexity), Error);
  set.type = data::RecordType::kPromptCompletion;
  set.records[0].rejected.clear();
  EXPECT_THROW(make_task(set, renderer, Metric::kPairAccuracy), Error);
}

}  // namespace
}  // namespace lmoe::eval
