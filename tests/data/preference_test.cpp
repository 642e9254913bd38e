// Preference records from the file to packed rows: both sides of a pair stay together.
#include "data/preference.h"

#include "data/byte_tokenizer.h"
#include "data/data_files.h"
#include "data/encoded_dataset.h"
#include "data/row_stream.h"

namespace lmoe::data {
namespace {

using test::ByteTokenizer;
using test::expect_error;
using test::ids_of;
using test::TempFolder;
using test::write;

constexpr const char* kTemplate =
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}";

Renderer renderer(DataOptions options = {}) {
  const auto tokenizer = std::make_shared<ByteTokenizer>();
  return {tokenizer, std::make_shared<ChatEncoder>(tokenizer, kTemplate), std::move(options)};
}

Dataset read(const std::string& path) {
  DatasetOptions options;
  options.path = path;
  return read_dataset(options, Purpose::kTraining);
}

std::vector<TokenId> side(const Example& example, bool is_chosen) {
  const auto at = example.ids.begin() + example.rejected_at;
  return is_chosen ? std::vector<TokenId>(example.ids.begin(), at)
                   : std::vector<TokenId>(at, example.ids.end());
}

TEST(Preference, IsRecognisedBeforeAllOtherShapes) {
  const TempFolder folder;
  const Dataset set = read(write(folder, "a.jsonl",
                                 "{\"prompt\": \"q\", \"response\": \"r\", \"text\": \"t\", "
                                 "\"chosen\": \"y\", \"rejected\": \"z\"}"));
  EXPECT_EQ(set.type, RecordType::kPreference);
  EXPECT_TRUE(set.records[0].is_preference());
  EXPECT_EQ(set.records[0].prompt, "q");
  EXPECT_EQ(set.records[0].response, "y");
  EXPECT_EQ(set.records[0].rejected, "z");
  EXPECT_EQ(set.extra_keys, (std::vector<std::string>{"response", "text"}));
}

TEST(Preference, BothSidesAreRenderedAsRecordsOfTheirOwn) {
  Record record;
  record.line = 4;
  record.prompt = "in:";
  record.response = "yes";
  record.rejected = "no!!";
  const Example example = renderer().render(record, "f");
  EXPECT_EQ(side(example, true), ids_of("in: yes</s>"));
  EXPECT_EQ(side(example, false), ids_of("in: no!!</s>"));
  EXPECT_EQ(example.line, 4);
  std::vector<TokenId> labels(example.ids.size(), kIgnoreLabel);
  labels[static_cast<size_t>(example.rejected_at) - 1] = ByteTokenizer::kEos;
  labels.back() = ByteTokenizer::kEos;
  EXPECT_EQ(example.labels, labels);

  record.prompt.clear();
  record.messages = Json::parse(R"([{"role": "user", "content": "Q"}])");
  const Example chat = renderer().render(record, "f");
  EXPECT_EQ(side(chat, true), ids_of("<|start|>user\nQ</s>\n<|start|>assistant\nyes</s>\n"));
  EXPECT_EQ(side(chat, false), ids_of("<|start|>user\nQ</s>\n<|start|>assistant\nno!!</s>\n"));
  EXPECT_FALSE(renderer().is_blank(record));
  record.rejected = " \n";
  EXPECT_TRUE(renderer().is_blank(record));
}

TEST(Preference, CuttingLeavesTheShorterSideWhole) {
  const auto cut = [](const std::string& chosen, const std::string& rejected, int64_t limit) {
    Example a, b;
    a.ids = ids_of(chosen);
    b.ids = ids_of(rejected);
    Example both = join_sides(a, b);
    EXPECT_TRUE(cut_sides(both, limit));
    EXPECT_LE(both.length(), limit);
    EXPECT_EQ(both.labelled(), 2);
    EXPECT_TRUE(both.cut);
    return std::pair(side(both, true), side(both, false));
  };
  EXPECT_EQ(cut("abc", "xyzxyzxyz", 8), std::pair(ids_of("abc"), ids_of("xyzxy")));
  EXPECT_EQ(cut("xyzxyzxyz", "abc", 8), std::pair(ids_of("xyzxy"), ids_of("abc")));
  EXPECT_EQ(cut("xyzxyzxyz", "abcabcabc", 9), std::pair(ids_of("xyzx"), ids_of("abcab")));
  Example a, b;
  a.ids = ids_of("same beginning, then yes");
  b.ids = ids_of("same beginning, then no!");
  Example both = join_sides(a, b);
  EXPECT_FALSE(cut_sides(both, 20));
}

std::string lines(int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += concat("{\"prompt\": \"p\", \"chosen\": \"",
                  std::string(static_cast<size_t>(1 + i % 7), 'y'), i, "\", \"rejected\": \"",
                  std::string(static_cast<size_t>(1 + i % 5), 'n'), i, "\"}\n");
  return out;
}

TEST(Preference, NeitherPackingNorHoldingOutPartsAPair) {
  const TempFolder folder;
  DataOptions options;
  options.datasets.resize(1);
  options.datasets[0].path = write(folder, "a.jsonl", lines(41));
  options.datasets[0].weight = 0.5;
  options.val_set_size = 0.2;
  options.sequence_len = 64;
  const TrainingData data = load_training_data(renderer(options), 1);
  EXPECT_EQ(data.train[0].examples.size() + data.validation[0].examples.size(), 41u);
  for (const bool packing : {true, false}) {
    RowStream stream(data.train, {.sequence_len = 64, .sample_packing = packing});
    int64_t pairs = 0;
    const int64_t rows = stream.rows_in_epochs(2);
    for (int64_t r = 0; r < rows; ++r) {
      const PackedRow row = stream.next();
      ASSERT_EQ(row.segments.size() % 2, 0u);
      EXPECT_EQ(row.pairs(), static_cast<int64_t>(row.segments.size()) / 2);
      EXPECT_EQ(row.labelled(), 2 * row.pairs());
      if (!packing) {
        EXPECT_EQ(row.pairs(), 1);
      }
      for (size_t s = 0; s < row.segments.size(); s += 2) {
        const Segment &chosen = row.segments[s], &rejected = row.segments[s + 1];
        EXPECT_EQ(chosen.pair, static_cast<int32_t>(s / 2));
        EXPECT_EQ(rejected.pair, chosen.pair);
        EXPECT_EQ(rejected.line, chosen.line);
        EXPECT_EQ(rejected.start, chosen.start + chosen.length);
        const auto second = [&](const Segment& segment) {
          return row.ids[static_cast<size_t>(segment.start) + 2];
        };
        EXPECT_EQ(second(chosen), 'y');
        EXPECT_EQ(second(rejected), 'n');
      }
      pairs += row.pairs();
    }
    EXPECT_EQ(pairs, static_cast<int64_t>(data.train[0].examples.size()));
  }
}

TEST(Preference, TheFingerprintKnowsWhereSidesBegin) {
  EncodedDataset set;
  Example a, b;
  a.ids = ids_of("abcd");
  b.ids = ids_of("ab");
  set.examples = {join_sides(a, b)};
  const std::string before = RowStream(std::span(&set, 1), {}).fingerprint();
  set.examples[0].rejected_at = 3;
  EXPECT_NE(RowStream(std::span(&set, 1), {}).fingerprint(), before);
}

TEST(Preference, WhatDoesNotFitIsNamedByLine) {
  const TempFolder folder;
  DataOptions options;
  options.sequence_len = 16;
  const std::string path = write(folder, "a.jsonl",
                                 "{\"prompt\": \"p\", \"chosen\": \"aaaaaaaaaaaaaaaaaa1\", "
                                 "\"rejected\": \"aaaaaaaaaaaaaaaaaa2\"}");
  expect_error(ErrorCode::kInvalidArgument, "a.jsonl:1: the two answers are the same once",
               [&] { encode_dataset(read(path), renderer(options)); });
}

}  // namespace
}  // namespace lmoe::data
