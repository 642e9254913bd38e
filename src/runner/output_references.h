// Reference trustable decoding (arXiv 2409.20181): what a model says next, mixed with what stored
// references say. A reference is what the model ended with before a token, and that token.
//
//   OutputReferences references{collect_references(decoder, documents, 4096), {}, 0.3};
//   at::Tensor logits = next_token_logits(decoder, hidden, &references);
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "models/decoder.h"
#include "nn/nearest_references.h"
#include "runner/document.h"

namespace lmoe::runner {

struct OutputReferences {
  nn::References references;  ///< keys [R, H] float32 (float64 of a double model), values token ids
  nn::Retrieval retrieval;
  double weight = 0.0;  ///< lambda, in [0, 1): p = lambda r + (1 - lambda) p_model
};

/// Of every labelled token of `documents`, or of `most` of them, evenly spaced; with whatever is
/// plugged into `decoder`. What lies beyond the model's positions is left out. `progress` counts
/// documents. Throws kInvalidArgument when there is nothing labelled.
nn::References collect_references(const models::Decoder& decoder,
                                  std::span<const Document> documents,
                                  int64_t most,
                                  const std::function<void(int64_t, int64_t)>& progress = {});

/// Throws kInvalidArgument for a weight outside [0, 1), more neighbours than references, and heads
/// that do not divide the hidden size.
void check_references(const OutputReferences& references);

/// hidden [M, H] -> [M, V]: the decoder's logits as they are without references or with weight 0,
/// else log-probabilities of the mixture.
at::Tensor next_token_logits(const models::Decoder& decoder,
                             const at::Tensor& hidden,
                             const OutputReferences* references);

}  // namespace lmoe::runner
