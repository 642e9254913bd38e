#include "data/row_builder.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::data {
namespace {

const Example& example_of(std::span<const EncodedDataset> datasets, const ExampleRef& ref) {
  return datasets[static_cast<size_t>(ref.dataset)].examples[static_cast<size_t>(ref.example)];
}

/// A document of its own, or the two sides of a preference.
void add_segments(const Example& example, const ExampleRef& ref, int32_t task, PackedRow& row) {
  const auto start = static_cast<int32_t>(row.ids.size());
  const auto length = static_cast<int32_t>(example.ids.size());
  const auto prompt = static_cast<int32_t>(example.prompt_length());
  if (example.rejected_at == 0) {
    row.segments.push_back({start, length, ref.dataset, example.line, task, prompt});
    row.segments.back().passages = example.passages;
    return;
  }
  constexpr int32_t kUnknownPrompt = -1;  // only each side's end is marked
  const auto chosen = static_cast<int32_t>(example.rejected_at);
  const auto pair = static_cast<int32_t>(row.pairs());
  row.segments.push_back({start, chosen, ref.dataset, example.line, task, kUnknownPrompt, pair});
  row.segments.push_back(
      {start + chosen, length - chosen, ref.dataset, example.line, task, kUnknownPrompt, pair});
  row.segments.end()[-2].passages = passages_within(example.passages, 0, chosen);
  row.segments.back().passages = passages_within(example.passages, chosen, length - chosen);
}

}  // namespace

PackedRow build_row(std::span<const EncodedDataset> datasets, std::span<const ExampleRef> members) {
  PackedRow row;
  for (const ExampleRef& ref : members) {
    const Example& example = example_of(datasets, ref);
    add_segments(example, ref, datasets[static_cast<size_t>(ref.dataset)].task, row);
    row.ids.insert(row.ids.end(), example.ids.begin(), example.ids.end());
    row.labels.insert(row.labels.end(), example.labels.begin(), example.labels.end());
  }
  return row;
}

std::vector<std::vector<ExampleRef>> group_examples(std::span<const EncodedDataset> datasets,
                                                    std::span<const ExampleRef> examples,
                                                    int64_t capacity,
                                                    int64_t window,
                                                    bool packing,
                                                    int64_t more) {
  std::vector<std::vector<ExampleRef>> groups;
  const size_t step = packing ? static_cast<size_t>(window) : 1;
  for (size_t begin = 0; begin < examples.size(); begin += step) {
    const auto part = examples.subspan(begin, std::min(step, examples.size() - begin));
    std::vector<int32_t> lengths;
    for (const ExampleRef& ref : part)
      lengths.push_back(static_cast<int32_t>(example_of(datasets, ref).length() + more));
    for (const auto& bin : pack_best_fit(lengths, static_cast<int32_t>(capacity))) {
      groups.emplace_back();
      for (const int32_t item : bin) groups.back().push_back(part[static_cast<size_t>(item)]);
    }
  }
  return groups;
}

}  // namespace lmoe::data
