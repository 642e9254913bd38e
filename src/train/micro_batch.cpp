#include "train/micro_batch.h"

#include <ATen/ATen.h>

#include <map>

#include "nn/loss.h"

namespace lmoe::train {
namespace {

constexpr size_t kMaxLinesShown = 8;

at::Tensor to_tensor(const std::vector<int64_t>& values) {
  at::Tensor tensor =
      at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

}  // namespace

MicroBatch make_micro_batch(std::span<const data::PackedRow> rows) {
  std::vector<int64_t> ids, labels;
  MicroBatch batch;
  for (const data::PackedRow& row : rows) {
    const auto begin = static_cast<int64_t>(ids.size());
    ids.insert(ids.end(), row.ids.begin(), row.ids.end());
    for (size_t i = 1; i <= row.labels.size(); ++i) {
      const int64_t label = i < row.labels.size() ? row.labels[i] : data::kIgnoreLabel;
      labels.push_back(label == data::kIgnoreLabel ? nn::kIgnoreLabel : label);
      batch.labelled += label != data::kIgnoreLabel;
    }
    for (const data::Segment& segment : row.segments) {
      nn::Segment packed;
      packed.start = begin + segment.start;
      packed.length = segment.length;
      packed.task = segment.task;
      packed.prompt = segment.prompt;
      packed.passages = segment.passages;
      batch.segments.push_back(packed);
    }
  }
  batch.ids = to_tensor(ids);
  batch.labels = to_tensor(labels);
  batch.tokens = static_cast<int64_t>(ids.size());
  return batch;
}

std::string records_text(std::span<const data::PackedRow> rows) {
  std::map<int32_t, std::vector<int64_t>> lines;
  for (const data::PackedRow& row : rows)
    for (const data::Segment& segment : row.segments)
      lines[segment.dataset].push_back(segment.line);
  std::string text;
  for (const auto& [dataset, numbers] : lines) {
    text += (text.empty() ? "data set " : "; data set ") + std::to_string(dataset) + " lines ";
    for (size_t i = 0; i < numbers.size() && i < kMaxLinesShown; ++i)
      text += (i == 0 ? "" : ", ") + std::to_string(numbers[i]);
    if (numbers.size() > kMaxLinesShown) text += ", …";
  }
  return text;
}

}  // namespace lmoe::train
