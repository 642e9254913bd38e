// Rows out of examples that belong together.
#pragma once

#include <span>
#include <vector>

#include "data/encoded_dataset.h"
#include "data/packing.h"

namespace lmoe::data {

/// One example of a run: which data set, which of its examples.
struct ExampleRef {
  int32_t dataset = 0;
  int32_t example = 0;
};

PackedRow build_row(std::span<const EncodedDataset> datasets, std::span<const ExampleRef> members);

/// Groups that fit rows of `capacity`, packed window by window; one each without packing. Each
/// example takes its length and `more`.
std::vector<std::vector<ExampleRef>> group_examples(std::span<const EncodedDataset> datasets,
                                                    std::span<const ExampleRef> examples,
                                                    int64_t capacity,
                                                    int64_t window,
                                                    bool packing,
                                                    int64_t more = 0);

}  // namespace lmoe::data
