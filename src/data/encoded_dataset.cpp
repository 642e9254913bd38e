#include "data/encoded_dataset.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "data/preference.h"
#include "data/split_slice.h"

namespace lmoe::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kHoldOutStream = 0x76616C;  // "val"

void cut(Example& example, const DataOptions& options, const std::string& file) {
  if (example.rejected_at > 0) {
    LMOE_CHECK_ARG(cut_sides(example, options.sequence_len), "[data] ", file, ":", example.line,
                   ": the two answers are the same once they are cut: expected both together to "
                   "fit sequence_len ",
                   options.sequence_len,
                   "; hint: raise sequence_len, or excess_length_strategy=drop");
    return;
  }
  const auto limit = static_cast<size_t>(options.sequence_len);
  const int64_t length = example.length();
  example.ids.resize(limit);
  example.labels.resize(limit);
  example.passages = passages_within(example.passages, 0, options.sequence_len);
  example.cut = true;
  LMOE_CHECK_ARG(example.labelled() > 0, "[data] ", file, ":", example.line,
                 ": no labelled token is left: given ", length,
                 " tokens, expected the answer to begin within sequence_len ", options.sequence_len,
                 "; hint: raise sequence_len, or excess_length_strategy=drop");
}

/// How many of `count` are held out; at least one stays.
size_t held_out(double val_set_size, size_t count) {
  const double wanted =
      val_set_size < 1.0 ? std::round(val_set_size * static_cast<double>(count)) : val_set_size;
  return std::min(static_cast<size_t>(wanted), count > 0 ? count - 1 : 0);
}

/// Moves the held-out examples of `train` into the set returned; both keep the order of the file.
EncodedDataset hold_out(EncodedDataset& train, double val_set_size, Rng rng) {
  std::vector<Example> all = std::exchange(train.examples, {});
  EncodedDataset validation = train;
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  rng.shuffle(std::span(order));
  order.resize(held_out(val_set_size, order.size()));
  const std::set<size_t> chosen(order.begin(), order.end());
  for (size_t i = 0; i < all.size(); ++i)
    (chosen.count(i) > 0 ? validation : train).examples.push_back(std::move(all[i]));
  return validation;
}

void refresh(EncodedDataset& set) {
  const int64_t dropped = set.statistics.dropped;
  set.statistics = measure(set.examples);
  set.statistics.dropped = dropped;
}

EncodedDataset validation_file(const DatasetOptions& options, const Renderer& renderer) {
  DatasetOptions other = options;
  other.split = "valid";
  other.max_samples = 0;
  const bool folder = fs::is_directory(options.path) && parse_split(options.split).split == "train";
  if (!folder || !(fs::exists(fs::path(options.path) / "valid.jsonl") ||
                   fs::exists(fs::path(options.path) / "valid.json")))
    return {};
  return encode_dataset(read_dataset(other, Purpose::kTraining), renderer, options.weight);
}

void make_names_unique(std::vector<EncodedDataset>& sets) {
  std::set<std::string> taken;
  for (EncodedDataset& set : sets) {
    const std::string name = set.name;
    for (int n = 2; !taken.insert(set.name).second; ++n) set.name = concat(name, "-", n);
  }
}

}  // namespace

EncodedDataset encode_dataset(const Dataset& dataset, const Renderer& renderer, double weight) {
  const DataOptions& options = renderer.options();
  EncodedDataset encoded;
  encoded.name = dataset.name;
  encoded.file = dataset.file;
  encoded.type = dataset.type;
  encoded.weight = weight;
  encoded.extra_keys = dataset.extra_keys;
  encoded.examples.reserve(dataset.records.size());
  for (const Record& record : dataset.records) {
    Example example = renderer.render(record, dataset.file);
    if (renderer.is_blank(record) && ++encoded.blank_records == 1)
      encoded.first_blank_line = record.line;
    if (example.length() > options.sequence_len) {
      if (options.excess_length_strategy == ExcessLength::kDrop) {
        ++encoded.statistics.dropped;
        continue;
      }
      LMOE_CHECK_ARG(options.excess_length_strategy == ExcessLength::kTruncate, "[data] ",
                     dataset.file, ":", record.line, ": too long: given ", example.length(),
                     " tokens, expected at most sequence_len ", options.sequence_len,
                     "; hint: excess_length_strategy=truncate or drop");
      cut(example, options, dataset.file);
    }
    encoded.examples.push_back(std::move(example));
  }
  LMOE_CHECK_ARG(!encoded.examples.empty(), "[data] ", dataset.file, ": nothing is left: given ",
                 dataset.records.size(), " records that are all too long, expected at most ",
                 options.sequence_len,
                 " tokens; hint: raise sequence_len, or "
                 "excess_length_strategy=truncate");
  refresh(encoded);
  return encoded;
}

int64_t TrainingData::task_count() const {
  int64_t count = 0;
  for (const EncodedDataset& set : train) count = std::max<int64_t>(count, set.task + 1);
  return count;
}

int64_t TrainingData::passage_count() const {
  int64_t count = 0;
  for (const auto* sets : {&train, &validation})
    for (const EncodedDataset& set : *sets)
      for (const Example& example : set.examples)
        for (const Passage& passage : example.passages) count = std::max(count, passage.number);
  return count;
}

std::vector<int32_t> task_numbers(const std::vector<DatasetOptions>& entries) {
  std::map<std::string, int32_t> shared;
  std::vector<int32_t> numbers;
  int32_t count = 0;
  for (const DatasetOptions& entry : entries) {
    int32_t task = count;
    if (!entry.task.empty()) task = shared.emplace(entry.task, count).first->second;
    count = std::max(count, task + 1);
    numbers.push_back(task);
  }
  return numbers;
}

TrainingData load_training_data(const Renderer& renderer, uint64_t seed) {
  const DataOptions& options = renderer.options();
  LMOE_CHECK_ARG(!options.datasets.empty(),
                 "[data] no data to train on: given no `datasets`, expected at least one path");
  const bool whole =
      options.val_set_size < 1.0 || options.val_set_size == std::floor(options.val_set_size);
  LMOE_CHECK_ARG(whole && options.val_set_size >= 0.0, "[data] val_set_size: given ",
                 options.val_set_size, ", expected a fraction below 1 or a whole count");
  TrainingData data;
  for (const DatasetOptions& entry : options.datasets) {
    EncodedDataset train =
        encode_dataset(read_dataset(entry, Purpose::kTraining), renderer, entry.weight);
    EncodedDataset validation =
        options.val_set_size > 0.0
            ? hold_out(train, options.val_set_size, Rng(seed, kHoldOutStream + data.train.size()))
            : validation_file(entry, renderer);
    refresh(train);
    refresh(validation);
    data.train.push_back(std::move(train));
    data.validation.push_back(std::move(validation));
  }
  const std::vector<int32_t> tasks = task_numbers(options.datasets);
  for (size_t i = 0; i < tasks.size(); ++i) data.train[i].task = data.validation[i].task = tasks[i];
  make_names_unique(data.train);
  for (size_t i = 0; i < data.train.size(); ++i) data.validation[i].name = data.train[i].name;
  return data;
}

}  // namespace lmoe::data
