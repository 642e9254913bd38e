// Passages on their way from a record to the segments of a packed row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/byte_tokenizer.h"
#include "data/data_files.h"
#include "data/encoded_dataset.h"
#include "data/preview.h"
#include "data/record_shapes.h"
#include "data/row_stream.h"

namespace lmoe::data {
namespace {

using test::ByteTokenizer;
using test::expect_error;
using test::ids_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}";

Renderer renderer(DataOptions options = {}, const char* source = kTemplate) {
  const auto tokenizer = std::make_shared<ByteTokenizer>(/*adds_bos=*/true);
  return Renderer(tokenizer, std::make_shared<ChatEncoder>(tokenizer, source), std::move(options));
}

Record record_of(const std::string& json) {
  const Json object = Json::parse(json);
  return read_record(detect_type(object, Purpose::kTraining), object, "f", 3);
}

/// Each passage as "number: text".
std::vector<std::string> texts(const std::vector<TokenId>& ids, const Passages& passages) {
  std::vector<std::string> all;
  for (const Passage& p : passages)
    all.push_back(
        concat(p.number, ": ",
               ByteTokenizer().decode(std::span(ids).subspan(static_cast<size_t>(p.begin),
                                                             static_cast<size_t>(p.end - p.begin)),
                                      /*skip_special=*/false)));
  return all;
}

constexpr const char* kChat = R"({"messages": [{"role": "system", "content": "be kind"},
    {"role": "user", "content": "a", "passage": 2}, {"role": "user", "content": "bc", "passage": 1},
    {"role": "user", "content": "d", "passage": 1}, {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "e", "passage": 5}, {"role": "assistant", "content": "no"}]})";

TEST(PassagesOfMessages, AreTheTurnsAsTheTemplateWritesThem) {
  const Record record = record_of(kChat);
  EXPECT_FALSE(record.messages[1].contains("passage")) << "templates do not see it";
  const Example example = renderer().render(record, "f");
  EXPECT_THAT(
      texts(example.ids, example.passages),
      ElementsAre("2: <|start|>user\na</s>\n", "1: <|start|>user\nbc</s>\n<|start|>user\nd</s>\n",
                  "5: <|start|>user\ne</s>\n"));
  Record plain = record;
  plain.message_passages.clear();
  EXPECT_EQ(example.ids, renderer().render(plain, "f").ids);
  EXPECT_EQ(example.labels, renderer().render(plain, "f").labels);
  // Generation starts from the same.
  const Prompt prompt = renderer().prompt(record);
  EXPECT_EQ(prompt.passages, example.passages);
  EXPECT_TRUE(std::equal(prompt.ids.begin(), prompt.ids.end(), example.ids.begin()));
  EXPECT_EQ(prompt.ids, renderer().prompt(plain).ids);
}

TEST(PassagesOfMessages, TurnsOfOtherRolesMayBeLearned) {
  const Record record = record_of(kChat);
  const Passages expected = renderer().render(record, "f").passages;
  EXPECT_EQ(renderer({.train_on_inputs = true}).render(record, "f").passages, expected);
  EXPECT_EQ(renderer({.roles_to_train = {"user", "assistant"}}).render(record, "f").passages,
            expected);
}

TEST(PassagesOfMessages, TheBeginningOfTheSequenceBelongsToNone) {
  const std::string turns = R"([{"role": "user", "content": "a", "passage": 1},
      {"role": "user", "content": "b", "passage": 2}, {"role": "assistant", "content": "c"}])";
  const Example example = renderer().render(record_of("{\"messages\": " + turns + "}"), "f");
  EXPECT_EQ(example.ids[0], ByteTokenizer::kBos);
  EXPECT_THAT(texts(example.ids, example.passages),
              ElementsAre("1: a</s>\n", "2: <|start|>user\nb</s>\n"))
      << "nor does the role of the first turn";
}

TEST(PassagesOfMessages, WhatTheTemplateWritesFirstBelongsToNone) {
  const Renderer polite = renderer({.train_on_inputs = true},
                                   "<|start|>be kind</s>{% for m in messages %}[{{ m.content }}]"
                                   "{% endfor %}");
  const Record record = record_of(R"({"messages": [{"role": "user", "content": "a", "passage": 1},
      {"role": "user", "content": "b", "passage": 2}, {"role": "assistant", "content": "c"}]})");
  const Example example = polite.render(record, "f");
  EXPECT_THAT(texts(example.ids, example.passages), ElementsAre("1: a]", "2: [b"))
      << "without a token that opens an answer the last one before it sees everything";
  EXPECT_THAT(texts(polite.prompt(record).ids, polite.prompt(record).passages),
              ElementsAre("1: a]", "2: [b"));
  const auto second = static_cast<size_t>(example.passages[1].begin);
  EXPECT_EQ(example.labels[second], kIgnoreLabel) << "the first passage cannot know the second";
  EXPECT_NE(example.labels[second + 1], kIgnoreLabel);
}

TEST(PassagesOfMessages, AFirstOneThatVanishesIsRefused) {
  const Renderer bare = renderer({}, "{% for m in messages %}{{ m.content }}{% endfor %}");
  const auto render = [&](const std::string& first) {
    return bare.render(record_of(R"({"messages": [{"role": "user", "content": ")" + first +
                                 R"(", "passage": 1}, {"role": "assistant", "content": "x"},
        {"role": "user", "content": "bc", "passage": 2}, {"role": "assistant", "content": "y"}]})"),
                       "f");
  };
  EXPECT_EQ(render("ab").passages.size(), 2U);
  expect_error(ErrorCode::kInvalidArgument, "passage 1 of the record at line 3 has no token",
               [&] { render("a"); });
}

TEST(PassagesOfMessages, ATemplateThatRewritesTurnsIsRefused) {
  const Renderer counts = renderer({},
                                   "{{ messages | length }}{% for m in messages %}{{ m.content }}"
                                   "{% endfor %}");
  expect_error(ErrorCode::kInvalidArgument, "f:3: chat template: the first 1 turns alone",
               [&] { counts.render(record_of(kChat), "f"); });
}

constexpr const char* kParts = R"({"prompt": ["Both: ", {"text": "ab", "passage": 1},
    {"text": "c ", "passage": 1}, {"text": "d", "passage": 2}, " Answer:"], "response": "x"})";

TEST(PassagesOfPrompts, AreTheirParts) {
  const Record record = record_of(kParts);
  EXPECT_EQ(record.prompt, "Both: abc d Answer:");
  const Example example = renderer().render(record, "f");
  EXPECT_EQ(example.ids, ids_of("<s>Both: abc d Answer: x</s>"));
  EXPECT_EQ(example.prompt_length(), std::ssize(example.ids) - 3);
  EXPECT_THAT(texts(example.ids, example.passages), ElementsAre("1: abc ", "2: d"));
  const Prompt prompt = renderer().prompt(record);
  EXPECT_EQ(prompt.passages, example.passages);
  EXPECT_EQ(prompt.ids, ids_of("<s>Both: abc d Answer:"));

  const Example first = renderer().render(
      record_of(R"({"prompt": [{"text": "ab", "passage": 3}], "response": "x"})"), "f");
  EXPECT_THAT(first.passages, ElementsAre(Passage{1, 2, 3}))
      << "without the first token, and without the last, which predicts the answer";
  const Record none = record_of(R"({"prompt": ["a", "b"], "response": "x"})");
  EXPECT_EQ(none.prompt, "ab");
  EXPECT_THAT(renderer().render(none, "f").passages, IsEmpty());
}

TEST(PassagesOfPrompts, PreferencesAndChoicesHaveThem) {
  const std::string prompt =
      R"("prompt": [{"text": "ab", "passage": 1}, {"text": "c", "passage": 2}])";
  const Example both =
      renderer().render(record_of("{" + prompt + R"(, "chosen": "yes", "rejected": "no"})"), "f");
  EXPECT_THAT(texts(both.ids, both.passages), ElementsAre("1: ab", "1: ab"))
      << "c predicts the answer, which sees everything";
  EncodedDataset set;
  set.examples = {both};
  const PackedRow row = build_row(std::span(&set, 1), std::vector<ExampleRef>{{0, 0}});
  ASSERT_EQ(row.segments.size(), 2U);
  EXPECT_THAT(row.segments[0].passages, ElementsAre(Passage{1, 3, 1}));
  EXPECT_EQ(row.segments[1].passages, row.segments[0].passages);

  const Record choice = record_of("{" + prompt + R"(, "choices": ["yes", "no"], "label": 1})");
  EXPECT_THAT(renderer().prompt(choice).passages, ElementsAre(Passage{1, 3, 1}));
}

TEST(Passages, AreCutWithTheirDocumentAndPackedWithOthers) {
  Dataset dataset;
  dataset.file = "f";
  dataset.records = {record_of(kParts), record_of(kParts)};
  const Renderer wide = renderer({.sequence_len = 60});
  EncodedDataset set = encode_dataset(dataset, wide);
  const PackedRow row = build_row(std::span(&set, 1), std::vector<ExampleRef>{{0, 0}, {0, 1}});
  EXPECT_EQ(row.segments[0].passages, set.examples[0].passages);
  EXPECT_EQ(row.segments[1].passages, set.examples[1].passages) << "counted from each document";

  DataOptions learns_all{.sequence_len = 9, .train_on_inputs = true};
  set = encode_dataset(dataset, renderer(learns_all));
  EXPECT_THAT(set.examples[0].passages, ElementsAre(Passage{7, 9, 1}));
}

TEST(Passages, AreADifferenceToARunThatGoesOn) {
  EncodedDataset set;
  set.examples = {renderer().render(record_of(kParts), "f")};
  const std::string with = RowStream(std::span(&set, 1), {.sequence_len = 64}).fingerprint();
  set.examples[0].passages[0].number = 7;
  const std::string other = RowStream(std::span(&set, 1), {.sequence_len = 64}).fingerprint();
  EXPECT_NE(with, other);
  EXPECT_EQ(TrainingData({.train = {set}}).passage_count(), 7);
  EXPECT_EQ(TrainingData().passage_count(), 0);
}

TEST(Passages, AreShown) {
  const std::string text =
      preview(renderer().render(record_of(kParts), "f"), ByteTokenizer()).substr(0, 100);
  EXPECT_THAT(text, ::testing::StartsWith("<s>Both: ⟦1: abc ⟧⟦2: d⟧ Answer:« |x|</s>»\n"));
}

TEST(Passages, WhatCannotActIsRefused) {
  const auto refused = [](const std::string& json, const std::string& part) {
    expect_error(ErrorCode::kCorruptData, "[data] f:3: " + part, [&] { record_of(json); });
  };
  const auto turn = [](const std::string& role, const std::string& passage) {
    return R"({"role": ")" + role + R"(", "content": "a", "passage": )" + passage + "}";
  };
  const auto chat = [](const std::string& turns) { return "{\"messages\": [" + turns + "]}"; };
  for (const char* number : {"0", "-1", "1.5", "\"1\"", "true"})
    refused(chat(turn("user", number)),
            concat("\"passage\": given ", number, ", expected a whole"));
  refused(chat(turn("user", "1") + "," + turn("user", "2") + "," + turn("user", "1")),
          "\"passage\": given 1 again after other text");
  refused(chat(turn("user", "1") + R"(, {"role": "user", "content": "b"}, )" + turn("user", "1")),
          "\"passage\": given 1 again after other text");
  refused(chat(turn("user", "1") + "," + turn("assistant", "2")),
          "\"passage\" of a turn of assistant: given 2");
  refused(R"({"conversations": [{"from": "human", "value": "a", "passage": 1}]})",
          "\"passage\" cannot act in \"conversations\"");
  refused(R"({"prompt": [{"text": "a", "pasage": 1}], "response": "b"})",
          "\"prompt\": expected a text, or a list of texts");
  refused(R"({"prompt": ["a", {"passage": 1}], "response": "b"})", "\"prompt\": expected a text");
  refused(R"({"prompt": ["a", {"text": "", "passage": 1}], "response": "b"})",
          "\"prompt\": a part is empty");
  refused(R"({"prompt": [], "response": "b"})", "the field \"prompt\"");
  EXPECT_NO_THROW(record_of(chat(turn("user", "null"))));
}

}  // namespace
}  // namespace lmoe::data
