// Packed rows as one forward takes them: all tokens one after another, and the label each position
// is to predict.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/packing.h"
#include "nn/forward_context.h"

namespace lmoe::train {

struct MicroBatch {
  at::Tensor ids;     ///< [N] int64
  at::Tensor labels;  ///< [N] int64: position i predicts labels[i]; -100 carries no loss
  std::vector<nn::Segment> segments;
  int64_t tokens = 0;
  int64_t labelled = 0;
};

/// A row's label at i + 1 becomes the label of position i; the last position of a row has none.
MicroBatch make_micro_batch(std::span<const data::PackedRow> rows);

/// "data set 0 lines 3, 17; data set 1 lines 4, …", for messages.
std::string records_text(std::span<const data::PackedRow> rows);

}  // namespace lmoe::train
