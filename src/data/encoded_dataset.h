// A data set as examples ready for packing, and the held-out part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/render.h"
#include "data/statistics.h"

namespace lmoe::data {

struct EncodedDataset {
  std::string name;
  std::string file;
  RecordType type = RecordType::kAuto;
  double weight = 1.0;
  int32_t task = 0;  ///< numbered in the order of `datasets`
  std::vector<Example> examples;
  std::vector<std::string> extra_keys;
  DatasetStatistics statistics;
  int64_t blank_records = 0;     ///< of the file, with an answer of white space only
  int64_t first_blank_line = 0;  ///< where the first of them stands
};

/// Renders every record and applies sequence_len. Throws as
/// Renderer::render, and when a cut leaves no label.
EncodedDataset encode_dataset(const Dataset& dataset,
                              const Renderer& renderer,
                              double weight = 1.0);

struct TrainingData {
  std::vector<EncodedDataset> train;
  std::vector<EncodedDataset> validation;  ///< one per train set, possibly without examples

  /// How many different ones the train sets have.
  int64_t task_count() const;
  /// The largest number of a passage in them (base/passage.h), 0 without any.
  int64_t passage_count() const;
};

/// The task of each entry: those with the same `task` share a number, one without has its own.
std::vector<int32_t> task_numbers(const std::vector<DatasetOptions>& entries);

/// Reads and encodes all `datasets` of the options. Held out is val_set_size of each set, chosen by
/// `seed`; with val_set_size 0 the valid.jsonl beside a folder's train.jsonl is used.
TrainingData load_training_data(const Renderer& renderer, uint64_t seed);

}  // namespace lmoe::data
