#include <set>

#include "data/byte_tokenizer.h"
#include "data/data_files.h"
#include "data/encoded_dataset.h"
#include "data/row_builder.h"

namespace lmoe::data {
namespace {

using test::ByteTokenizer;
using test::expect_error;
using test::TempFolder;
using test::write;

std::string lines(int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += "{\"prompt\": \"p\", \"response\": \"" + std::to_string(i) + "\"}\n";
  return out;
}

TrainingData load(const DataOptions& options, uint64_t seed = 1) {
  return load_training_data(Renderer(std::make_shared<ByteTokenizer>(), nullptr, options), seed);
}

std::set<int64_t> lines_of(const EncodedDataset& set) {
  std::set<int64_t> out;
  for (const Example& example : set.examples) out.insert(example.line);
  return out;
}

TEST(TrainingData, HoldsOutWhatTheSeedChooses) {
  const TempFolder folder;
  DataOptions options;
  options.datasets.resize(2);
  options.datasets[0].path = write(folder, "a.jsonl", lines(100));
  options.datasets[1].path = write(folder, "b.jsonl", lines(3));
  options.val_set_size = 0.1;
  const TrainingData data = load(options);
  EXPECT_EQ(data.train[0].examples.size(), 90u);
  EXPECT_EQ(data.validation[0].examples.size(), 10u);
  EXPECT_EQ(data.train[0].statistics.examples, 90);
  EXPECT_EQ(data.validation[0].statistics.examples, 10);
  EXPECT_EQ(data.train[1].examples.size(), 3u);
  auto all = lines_of(data.train[0]);
  for (const int64_t line : lines_of(data.validation[0])) EXPECT_TRUE(all.insert(line).second);
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(lines_of(load(options).validation[0]), lines_of(data.validation[0]));
  EXPECT_NE(lines_of(load(options, 2).validation[0]), lines_of(data.validation[0]));
  options.val_set_size = 5;
  EXPECT_EQ(load(options).validation[0].examples.size(), 5u);
  EXPECT_EQ(load(options).train[1].examples.size(), 1u);  // one always stays
  options.val_set_size = 2.5;
  expect_error(ErrorCode::kInvalidArgument, "val_set_size", [&] { load(options); });
}

TEST(TrainingData, EntriesWithTheSameTaskShareItsNumber) {
  const TempFolder folder;
  DataOptions options;
  options.datasets.resize(4);
  for (DatasetOptions& entry : options.datasets) entry.path = write(folder, "a.jsonl", lines(3));
  options.datasets[1].task = "knowledge";
  options.datasets[3].task = "knowledge";
  options.val_set_size = 1;
  const TrainingData data = load(options);
  EXPECT_EQ(data.task_count(), 3);
  const std::vector<int32_t> expected = {0, 1, 2, 1};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(data.train[i].task, expected[i]);
    EXPECT_EQ(data.validation[i].task, expected[i]);
  }
  const std::vector<ExampleRef> members = {{0, 0}, {3, 1}};
  const PackedRow row = build_row(data.train, members);
  EXPECT_EQ(row.segments[0].task, 0);
  EXPECT_EQ(row.segments[1].task, 1);
  EXPECT_EQ(row.segments[1].dataset, 3);
}

TEST(TrainingData, TakesValidationFilesAndKeepsNamesApart) {
  const TempFolder folder;
  write(folder, "x/scan/train.jsonl", lines(4));
  write(folder, "x/scan/valid.jsonl", lines(2));
  write(folder, "y/scan/train.jsonl", lines(4));
  DataOptions options;
  options.datasets.resize(2);
  options.datasets[0].path = (folder.path() / "x/scan").string();
  options.datasets[1].path = (folder.path() / "y/scan").string();
  options.datasets[1].max_samples = 3;
  options.datasets[1].weight = 2.0;
  const TrainingData data = load(options);
  EXPECT_EQ(data.train[0].name, "scan");
  EXPECT_EQ(data.train[1].name, "scan-2");
  EXPECT_EQ(data.validation[1].name, "scan-2");
  EXPECT_EQ(data.validation[0].examples.size(), 2u);
  EXPECT_EQ(data.validation[1].examples.size(), 0u);
  EXPECT_EQ(data.train[1].examples.size(), 3u);
  EXPECT_EQ(data.train[1].weight, 2.0);
  expect_error(ErrorCode::kInvalidArgument, "no data to train on", [] { load({}); });
}

TEST(TrainingData, OptionsAreReadStrictly) {
  const auto node = parse_config(
      "datasets: [{path: a, type: choice, weight: 0.5}]\nmax_seq_length: 64\npacking: false\n",
      "r");
  ReadReport report;
  DataOptions options;
  OptionReader(report).read(node, options);
  EXPECT_EQ(options.datasets[0].type, RecordType::kChoice);
  EXPECT_EQ(options.sequence_len, 64);
  EXPECT_FALSE(options.sample_packing);
  EXPECT_EQ(report.notes.size(), 2u);
  for (const char* bad : {"datasets: [{type: text}]", "datasets: [{path: a, weight: 0}]",
                          "datasets: [{path: a, type: nosuch}]", "sequence_len: 1"}) {
    DataOptions other;
    EXPECT_THROW(OptionReader(report).read(parse_config(bad, "r"), other), Error) << bad;
  }
}

}  // namespace
}  // namespace lmoe::data
