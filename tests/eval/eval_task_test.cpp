#include "eval/eval_task.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/fake_tokenizer.h"
#include "support/temp_folder.h"

namespace lmoe::eval {
namespace {

using test::FakeTokenizer;

class EvalTaskTest : public testing::Test {
 protected:
  EvalTaskTest()
      : tokenizer_(std::make_shared<FakeTokenizer>(
            std::vector<std::string>{"a", "b", "c", " ", "\n", "<eos>"})),
        chat_(std::make_shared<data::ChatEncoder>(
            tokenizer_,
            "{% for m in messages %}{{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}{% endif %}")),
        renderer_(tokenizer_, chat_, {}) {}

  data::Dataset read(const std::string& lines) {
    const auto path = folder_.path() / "small.jsonl";
    write_file_atomically(path, lines);
    return data::read_dataset({.path = path.string()}, data::Purpose::kEvaluation);
  }
  EvalTask make(const std::string& lines, Metric metric = Metric::kAuto) {
    return make_task(read(lines), renderer_, metric);
  }
  std::string refused(const std::string& lines, Metric metric) {
    try {
      make(lines, metric);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  }
  std::string text(const std::vector<text::TokenId>& ids) const {
    return tokenizer_->decode(ids, /*skip_special=*/false);
  }

  test::TempFolder folder_;
  std::shared_ptr<FakeTokenizer> tokenizer_;
  std::shared_ptr<data::ChatEncoder> chat_;
  data::Renderer renderer_;
};

TEST_F(EvalTaskTest, PromptsWithAnswers) {
  const EvalTask task = make(R"({"prompt": "ab", "response": "c"}
{"prompt": "b", "response": "a b"})");
  EXPECT_EQ(task.name, "small");
  EXPECT_EQ(task.metric, Metric::kExactMatch);
  EXPECT_TRUE(task.stops_at_line_break);
  ASSERT_EQ(task.items.size(), 2U);
  EXPECT_EQ(text(task.items[0].prompt), "ab");
  EXPECT_EQ(task.items[0].expected, "c");
  EXPECT_EQ(text(task.items[0].ids), "ab c<eos>");
  EXPECT_EQ(task.items[0].labels[1], data::kIgnoreLabel);
  EXPECT_EQ(task.items[0].labels[2], task.items[0].ids[2]);
  EXPECT_EQ(task.items[1].line, 2);
  EXPECT_EQ(first_items(task, 1).items.size(), 1U);
  EXPECT_EQ(first_items(task, 9).items.size(), 2U);
}

TEST_F(EvalTaskTest, AnswersEndAtAllEndTokensOfTheModel) {
  const data::Renderer renderer(tokenizer_, chat_, {}, {5, 2});
  const auto dataset = read(R"({"prompt": "ab", "response": "b"})");
  const EvalTask task = make_task(dataset, renderer, Metric::kAuto);
  EXPECT_EQ(task.end_tokens, (std::vector<text::TokenId>{5, 2}));
  EXPECT_EQ(first_items(task, 1).end_tokens, task.end_tokens);
}

TEST_F(EvalTaskTest, AnswersWithSeveralLines) {
  EXPECT_FALSE(make(R"({"prompt": "ab", "response": "c\na"})").stops_at_line_break);
  EXPECT_TRUE(make(R"({"prompt": "ab", "response": "c\n"})").stops_at_line_break);
}

TEST_F(EvalTaskTest, Choices) {
  const std::string record =
      R"({"prompt": "ab", "response": "c", "choices": ["bb", "c"], "label": 1})";
  const EvalTask task = make(record);
  EXPECT_EQ(task.metric, Metric::kChoice);
  EXPECT_EQ(task.items[0].label, 1);
  ASSERT_EQ(task.items[0].choices.size(), 2U);
  EXPECT_EQ(text(task.items[0].choices[0]), " bb");
  EXPECT_EQ(task.items[0].choice_bytes, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(make(record, Metric::kExactMatch).items[0].expected, "c");
}

TEST_F(EvalTaskTest, PlainTextHasNoEndAdded) {
  const EvalTask task = make(R"({"text": "abc"})");
  EXPECT_EQ(task.metric, Metric::kPerplexity);
  EXPECT_FALSE(task.has_answers);
  EXPECT_EQ(text(task.items[0].ids), "abc");
  EXPECT_EQ(task.items[0].labels.size(), 3U);
  EXPECT_EQ(task.items[0].labels[0], data::kIgnoreLabel);
}

TEST_F(EvalTaskTest, ConversationsAskForTheirLastAnswer) {
  const EvalTask task = make(
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, )"
      R"({"role": "user", "content": "ab"}, {"role": "assistant", "content": "c"}]})");
  EXPECT_EQ(task.metric, Metric::kExactMatch);
  EXPECT_EQ(text(task.items[0].prompt), "a\nb\nab\n");
  EXPECT_EQ(task.items[0].expected, "c");
}

TEST_F(EvalTaskTest, MetricsThatCannotBe) {
  const std::string open_end =
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, )"
      R"({"role": "user", "content": "c"}]})";
  EXPECT_NE(refused(open_end, Metric::kExactMatch).find(":1: exact_match needs an answer"),
            std::string::npos);
  EXPECT_NE(refused(R"({"text": "abc"})", Metric::kExactMatch).find("exact_match needs answers"),
            std::string::npos);
  EXPECT_NE(refused(R"({"prompt": "a", "response": "b"})", Metric::kChoice).find("choices"),
            std::string::npos);
}

}  // namespace
}  // namespace lmoe::eval
