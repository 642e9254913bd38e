// Passages of records on their way through every metric to the model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "eval/answer_requests.h"
#include "eval/choice.h"
#include "eval/eval_fakes.h"
#include "eval/exact_match.h"
#include "eval/perplexity.h"
#include "eval/prompt_usage.h"
#include "eval/router_usage.h"
#include "support/temp_folder.h"

namespace lmoe::eval {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Passages kPassages = {{1, 2, 1}, {2, 3, 2}};

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

class EvalPassages : public testing::Test {
 protected:
  EvalTask make(const std::string& rest) const {
    const test::TempFolder folder;
    const auto path = folder.path() / "small.jsonl";
    write_file_atomically(path, R"({"prompt": ["a", {"text": "b", "passage": 1},)"
                                R"( {"text": "a", "passage": 2}, "c"], )" +
                                    rest + "}\n");
    const auto tokenizer = std::make_shared<test::FakeTokenizer>(
        std::vector<std::string>{"a", "b", "c", " ", "\n", "<eos>"});
    const data::Renderer renderer(tokenizer, nullptr, {});
    return make_task(data::read_dataset({.path = path.string()}, data::Purpose::kEvaluation),
                     renderer, Metric::kAuto);
  }

  test::FakeStepModel model_{kSmallVocab, always_says("b")};
  EvalOptions options_;
  EvalHooks hooks_;
  EvalContext context_{model_, small_tokenizer(), options_, hooks_};
};

TEST_F(EvalPassages, AnswersStartFromThePassagesOfTheirPrompt) {
  const EvalTask task = make(R"("response": "b")");
  EXPECT_EQ(task.items[0].prompt_passages, kPassages);
  EXPECT_EQ(task.items[0].passages, kPassages);
  measure_exact_match(context_, task, "");
  EXPECT_FALSE(model_.fed_passages.empty());
  EXPECT_THAT(model_.fed_passages, Each(kPassages));
}

TEST_F(EvalPassages, ScoresKnowThem) {
  measure_perplexity(context_, make(R"("response": "b")"), "");
  EXPECT_THAT(model_.scored_passages, ElementsAre(kPassages));
  model_.scored_passages.clear();
  measure_choice(context_, make(R"("choices": ["b", "c"], "label": 0)"), "");
  EXPECT_THAT(model_.scored_passages, ElementsAre(kPassages, kPassages));
}

TEST_F(EvalPassages, RouterUsageKnowsThem) {
  model_.routing_of = [](test::FakeStepModel::History) { return decode::TokenRouting{{1.0F}}; };
  model_.router_info = {{"one"}, {"site"}, {0}};
  measure_router_usage(context_, make(R"("response": "b")"));
  EXPECT_THAT(model_.fed_passages, ElementsAre(kPassages));
}

TEST_F(EvalPassages, WhatWouldPartThemIsRefused) {
  test::FakeStepModel small(kSmallVocab, always_says("b"), /*max_positions=*/5);
  const EvalContext context{small, small_tokenizer(), options_, hooks_};
  EXPECT_THAT(refusal([&] { measure_perplexity(context, make(R"("response": "b")"), ""); }),
              HasSubstr("cannot be read in windows, which would part them: given 7 tokens"));
  EXPECT_THAT(
      refusal([&] { measure_choice(context, make(R"("choices": ["b", "c"], "label": 0)"), ""); }),
      HasSubstr("a prompt with passages cannot be cut: given 4 tokens, expected at most 3"));
  EXPECT_THAT(
      refusal([&] { answer_requests(context, make(R"("response": "b")")); }),
      HasSubstr("a prompt with passages cannot be cut: given 4 tokens, expected at most 3"));
}

}  // namespace
}  // namespace lmoe::eval
