// One vector for each document, to compare documents with each other.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "models/decoder.h"

namespace lmoe::runner {

/// The mean over a document's tokens of the hidden states after the final norm, [D, H] float32.
/// Of documents longer than the model's positions their beginning counts. With whatever is plugged
/// into `decoder`. `progress` is told how many documents are done, after each forward. Throws
/// kInvalidArgument for an empty document, kDiverged for NaN.
at::Tensor embed_documents(const models::Decoder& decoder,
                           std::span<const std::vector<int32_t>> documents,
                           const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace lmoe::runner
