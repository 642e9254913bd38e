#include "data/row_builder.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::data {
namespace {

const Example& example_of(std::span<const EncodedDataset> datasets, const ExampleRef& ref) {
  return datasets[static_cast<size_t>(ref.dataset)].examples[static_cast<size_t>(ref.example)];
}

}  // namespace

PackedRow build_row(std::span<const EncodedDataset> datasets, std::span<const ExampleRef> members) {
  PackedRow row;
  for (const ExampleRef& ref : members) {
    const Example& example = example_of(datasets, ref);
    row.segments.push_back({static_cast<int32_t>(row.ids.size()),
                            static_cast<int32_t>(example.ids.size()), ref.dataset, example.line,
                            datasets[static_cast<size_t>(ref.dataset)].task,
                            static_cast<int32_t>(example.prompt_length())});
    row.ids.insert(row.ids.end(), example.ids.begin(), example.ids.end());
    row.labels.insert(row.labels.end(), example.labels.begin(), example.labels.end());
  }
  return row;
}

std::vector<std::vector<ExampleRef>> group_examples(std::span<const EncodedDataset> datasets,
                                                    std::span<const ExampleRef> examples,
                                                    int64_t capacity,
                                                    int64_t window,
                                                    bool packing) {
  std::vector<std::vector<ExampleRef>> groups;
  const size_t step = packing ? static_cast<size_t>(window) : 1;
  for (size_t begin = 0; begin < examples.size(); begin += step) {
    const auto part = examples.subspan(begin, std::min(step, examples.size() - begin));
    std::vector<int32_t> lengths;
    for (const ExampleRef& ref : part)
      lengths.push_back(static_cast<int32_t>(example_of(datasets, ref).length()));
    for (const auto& bin : pack_best_fit(lengths, static_cast<int32_t>(capacity))) {
      groups.emplace_back();
      for (const int32_t item : bin) groups.back().push_back(part[static_cast<size_t>(item)]);
    }
  }
  return groups;
}

}  // namespace lmoe::data
