#include <cmath>

#include <gtest/gtest.h>

#include "eval/answer_text.h"
#include "eval/choice.h"
#include "eval/exact_match.h"
#include "eval/perplexity.h"
#include "eval_fakes.h"

namespace lmoe::eval {
namespace {

using test::FakeStepModel;

const EvalOptions kOptions;
const EvalHooks kNoHooks;

std::vector<double> values(const TaskScore& score) {
  std::vector<double> result;
  for (const Outcome& outcome : score.outcomes) result.push_back(outcome.value);
  return result;
}

TEST(NormaliseAnswer, SqueezesWhiteSpaceOnly) {
  EXPECT_EQ(normalise_answer("  SELECT  a\tFROM\r\n t "), "SELECT a FROM t");
  EXPECT_EQ(normalise_answer(" \n"), "");
  EXPECT_NE(normalise_answer("Yes."), normalise_answer("yes"));
}

TEST(ResolveMetric, FollowsTheRecords) {
  using data::RecordType;
  EXPECT_EQ(resolve_metric(Metric::kAuto, RecordType::kChoice), Metric::kChoice);
  EXPECT_EQ(resolve_metric(Metric::kAuto, RecordType::kText), Metric::kPerplexity);
  EXPECT_EQ(resolve_metric(Metric::kAuto, RecordType::kMessages), Metric::kExactMatch);
  EXPECT_EQ(resolve_metric(Metric::kExactMatch, RecordType::kChoice), Metric::kExactMatch);
}

TEST(ExactMatch, ComparesGreedyAnswers) {
  FakeStepModel model(kSmallVocab, always_says(" ab"));
  const EvalTask task = task_of(Metric::kExactMatch, {answer_item("a", "ab"), answer_item("b", "a"),
                                                      answer_item("bb", " ab ")});
  const TaskScore score =
      measure_exact_match({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_EQ(values(score), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(score.answers[0], " ab");
  EXPECT_EQ(score.extra["truncated"], 0);
  EXPECT_TRUE(model.all_closed());
}

TEST(ExactMatch, EndsAtALineBreakUnlessAnswersHaveLines) {
  FakeStepModel model(kSmallVocab, always_says(" a\nb"));
  EvalTask task = task_of(Metric::kExactMatch, {answer_item("a", "a")});
  const EvalContext context{model, small_tokenizer(), kOptions, kNoHooks};
  EXPECT_EQ(values(measure_exact_match(context, task, "x")), std::vector<double>{1});
  task.items.push_back(answer_item("b", "a\nb"));
  task.stops_at_line_break = false;
  EXPECT_EQ(values(measure_exact_match(context, task, "x")), (std::vector<double>{0, 1}));
}

TEST(ExactMatch, EndsAtEveryEndTokenOfTheModel) {
  FakeStepModel model(kSmallVocab, always_says(" acb"));
  EvalTask task = task_of(Metric::kExactMatch, {answer_item("a", "a")});
  const EvalContext context{model, small_tokenizer(), kOptions, kNoHooks};
  EXPECT_EQ(values(measure_exact_match(context, task, "x")), std::vector<double>{0});
  task.end_tokens = {small_tokenizer().id("<eos>"), small_tokenizer().id("c")};
  EXPECT_EQ(values(measure_exact_match(context, task, "x")), std::vector<double>{1});
}

TEST(ExactMatch, RamblingIsCut) {
  FakeStepModel model(
      kSmallVocab, [](FakeStepModel::History) { return test::one_hot_logits(kSmallVocab, 0); },
      /*max_positions=*/256);
  const EvalTask task = task_of(Metric::kExactMatch, {answer_item("a", "b")});
  const TaskScore score =
      measure_exact_match({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_EQ(score.answers[0].size(), 22U) << "three labelled tokens: twice that, plus 16";
}

TEST(ExactMatch, LongPromptsLoseTheirBeginning) {
  FakeStepModel model(kSmallVocab, always_says(" ab"), /*max_positions=*/8);
  const EvalTask task =
      task_of(Metric::kExactMatch, {answer_item("aaaaaaaaaaaa", "ab"), answer_item("a", "ab")});
  const TaskScore score =
      measure_exact_match({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_EQ(values(score), (std::vector<double>{1, 1}));
  EXPECT_EQ(score.extra["truncated"], 1);
}

/// Each letter's logit is fixed, whatever came before.
FakeStepModel::LogitsOf unigram(const std::vector<float>& logits) {
  return [logits](FakeStepModel::History) { return logits; };
}

TEST(Choice, SumAndPerByteMayDiffer) {
  // Log-likelihoods relative to "b": "a" alone is worth 1.0 more than the average letter; "aa" sums
  // lower than "b" because of its second letter, but has more per byte.
  FakeStepModel model(kSmallVocab, unigram({1.0F, 0.5F, 0, 0, 0, 0}));
  const double z = std::log(std::exp(1.0) + std::exp(0.5) + 4.0);
  ASSERT_LT(2 * (1.0 - z), 0.5 - z) << "sum prefers b";
  ASSERT_GT((-z + 2 * (1.0 - z)) / 2, (-z + 0.5 - z) / 1) << "per byte prefers aa";
  const EvalTask task = task_of(
      Metric::kChoice, {choice_item("c", {"b", "aa"}, 0), choice_item("c", {"b", "aa"}, 1)});
  const TaskScore score = measure_choice({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_EQ(values(score), (std::vector<double>{1, 0}));
  EXPECT_EQ(score.extra["acc"], 0.5);
  EXPECT_EQ(score.extra["acc_norm"], 0.5);
  const EvalTask second = task_of(Metric::kChoice, {choice_item("c", {"b", "aa"}, 1)});
  const TaskScore alone =
      measure_choice({model, small_tokenizer(), kOptions, kNoHooks}, second, "x");
  EXPECT_EQ(alone.extra["acc"], 0.0);
  EXPECT_EQ(alone.extra["acc_norm"], 1.0);
}

TEST(Choice, ThePromptDoesNotCount) {
  FakeStepModel model(kSmallVocab, unigram({1.0F, 4.0F, 0, 0, 0, 0}));
  const double z = std::log(std::exp(1.0) + std::exp(4.0) + 4.0);
  const double sum_b = -z + 4.0 - z;
  const double sum_aa = -z + 2 * (1.0 - z);
  const double prompt = 2 * -z;
  ASSERT_GT(sum_b, sum_aa / 2);
  ASSERT_LT(sum_b + prompt, (sum_aa + prompt) / 2) << "with the prompt, aa would win";
  const EvalTask task = task_of(Metric::kChoice, {choice_item("ccc", {"b", "aa"}, 0)});
  const TaskScore score = measure_choice({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_EQ(score.extra["acc_norm"], 1.0);
}

TEST(Choice, EqualsGoToTheFirst) {
  FakeStepModel model(kSmallVocab, unigram(std::vector<float>(6, 0.0F)));
  std::vector<EvalItem> items;
  for (int i = 0; i < 40; ++i) items.push_back(choice_item("c", {"a", "b", "c"}, i % 2));
  const TaskScore score = measure_choice({model, small_tokenizer(), kOptions, kNoHooks},
                                         task_of(Metric::kChoice, items), "x");
  EXPECT_EQ(score.extra["acc"], 0.5);
}

TEST(Choice, DependsOnThePrompt) {
  // After "a…" the model continues with b, after "b…" with c.
  FakeStepModel model(kSmallVocab, [](FakeStepModel::History ids) {
    return test::one_hot_logits(kSmallVocab, ids.front() + 1);
  });
  const EvalTask task =
      task_of(Metric::kChoice, {choice_item("a", {"b", "c"}, 0), choice_item("b", {"b", "c"}, 1)});
  EXPECT_EQ(measure_choice({model, small_tokenizer(), kOptions, kNoHooks}, task, "x").extra["acc"],
            1.0);
}

TEST(Choice, LongPromptsAreCutAndLongChoicesRefused) {
  FakeStepModel model(kSmallVocab, unigram({1, 0, 0, 0, 0, 0}), /*max_positions=*/4);
  const EvalContext context{model, small_tokenizer(), kOptions, kNoHooks};
  const EvalTask cut = task_of(Metric::kChoice, {choice_item("bbbbbb", {"a", "b"}, 0)});
  const TaskScore score = measure_choice(context, cut, "x");
  EXPECT_EQ(score.extra["acc"], 1.0);
  EXPECT_EQ(score.extra["truncated"], 1);
  const EvalTask bad = task_of(Metric::kChoice, {choice_item("b", {"aaa", "b"}, 0)});
  EXPECT_THROW(measure_choice(context, bad, "x"), Error);
}

TEST(Perplexity, OfAUniformModelIsTheVocabulary) {
  FakeStepModel model(kSmallVocab, unigram(std::vector<float>(6, 0.0F)));
  const EvalTask task =
      task_of(Metric::kPerplexity, {answer_item("a", "ab"), answer_item("bb", "c")});
  const TaskScore score =
      measure_perplexity({model, small_tokenizer(), kOptions, kNoHooks}, task, "x");
  EXPECT_NEAR(score_of(task.metric, score.outcomes), 6.0, 1e-5);
  EXPECT_EQ(score.outcomes[0].weight, 4.0) << "space, a, b, end; not the prompt";
  EXPECT_EQ(score.extra["tokens"], 7);
  EXPECT_EQ(score.extra["bytes"], 5) << "the end token has no text";
  EXPECT_NEAR(score.extra["loss"].get<double>(), std::log(6.0), 1e-6);
  EXPECT_NEAR(score.extra["byte_perplexity"].get<double>(), std::pow(6.0, 7.0 / 5.0), 1e-4);
  EXPECT_NEAR(score.extra["bits_per_byte"].get<double>(), std::log2(6.0) * 7 / 5, 1e-5);
}

TEST(Perplexity, LongRecordsAreReadInWindows) {
  FakeStepModel model(kSmallVocab, unigram({2, 1, 0, 0, 0, 0}), /*max_positions=*/4);
  FakeStepModel large(kSmallVocab, unigram({2, 1, 0, 0, 0, 0}));
  const EvalTask task = task_of(Metric::kPerplexity, {answer_item("abab", "abbabcab")});
  const auto loss = [&](FakeStepModel& m) {
    return measure_perplexity({m, small_tokenizer(), kOptions, kNoHooks}, task, "x")
        .extra["loss"]
        .get<double>();
  };
  EXPECT_NEAR(loss(model), loss(large), 1e-9);
}

TEST(Metrics, CanBeCancelledAndTellProgress) {
  FakeStepModel model(kSmallVocab, unigram(std::vector<float>(6, 0.0F)));
  for (const Metric metric : {Metric::kExactMatch, Metric::kChoice, Metric::kPerplexity}) {
    const EvalTask task =
        task_of(metric, std::vector<EvalItem>(3, choice_item("a", {"a", "b"}, 0)));
    EvalProgress last;
    const EvalHooks hooks{.on_progress = [&](const EvalProgress& progress) { last = progress; }};
    measure({model, small_tokenizer(), kOptions, hooks}, task, "phase");
    EXPECT_EQ(last.task, "small");
    EXPECT_EQ(last.phase, "phase");
    EXPECT_EQ(last.done, 3);
    EXPECT_EQ(last.total, 3);
    const EvalHooks stop{.is_cancelled = [] { return true; }};
    try {
      measure({model, small_tokenizer(), kOptions, stop}, task, "phase");
      ADD_FAILURE() << "went on: " << enum_name(metric);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInterrupted);
    }
    EXPECT_TRUE(model.all_closed());
  }
}

}  // namespace
}  // namespace lmoe::eval
