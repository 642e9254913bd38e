// How one adapter does at the samples.
#include "kshot/adapter_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../eval/eval_fakes.h"
#include "base/error.h"

namespace lmoe::kshot {
namespace {

using ::testing::HasSubstr;

TEST(LogPerplexity, IsThatOfTheMeanOverAnswers) {
  const std::vector<eval::Outcome> answers = {{2.0, 4.0}, {9.0, 3.0}};
  EXPECT_NEAR(log_perplexity(answers, AnswerLength::kTokens),
              std::log((std::exp(0.5) + std::exp(3.0)) / 2), 1e-12);
  EXPECT_NEAR(log_perplexity(answers, AnswerLength::kNothing),
              std::log((std::exp(2.0) + std::exp(9.0)) / 2), 1e-12);
}

TEST(LogPerplexity, LongAnswersDoNotOverflow) {
  const std::vector<eval::Outcome> answers = {{5000.0, 1000.0}, {4000.0, 1000.0}};
  EXPECT_NEAR(log_perplexity(answers, AnswerLength::kNothing), 5000.0 - std::log(2.0), 1e-9);
  EXPECT_THROW(log_perplexity({}, AnswerLength::kTokens), Error);
}

/// Says " a" and the end after any prompt: right for one of two samples.
TEST(ScoreAdapter, HasTheAccuracyAndThePerplexityOfEval) {
  const eval::EvalTask task = eval::task_of(
      eval::Metric::kExactMatch, {eval::answer_item("b", "a"), eval::answer_item("b", "c")});
  test::FakeStepModel model(eval::kSmallVocab, eval::always_says(" a"));
  eval::EvalOptions options;
  eval::EvalHooks hooks;
  const eval::EvalContext context{model, eval::small_tokenizer(), options, hooks};
  const AdapterScore score = score_adapter(context, task, AnswerLength::kTokens);
  const auto outcomes =
      eval::measure(context, eval::task_of(eval::Metric::kPerplexity, task.items), "perplexity")
          .outcomes;
  EXPECT_EQ(score.log_perplexity, log_perplexity(outcomes, AnswerLength::kTokens));
  EXPECT_EQ(score.accuracy, 0.5);
}

TEST(ScoreAdapter, NeedsAnswers) {
  const eval::EvalTask task =
      eval::task_of(eval::Metric::kPerplexity, {eval::answer_item("b", "a")});
  test::FakeStepModel model(eval::kSmallVocab, eval::always_says("a"));
  eval::EvalOptions options;
  eval::EvalHooks hooks;
  try {
    score_adapter({model, eval::small_tokenizer(), options, hooks}, task, AnswerLength::kTokens);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("given perplexity"));
  }
}

}  // namespace
}  // namespace lmoe::kshot
