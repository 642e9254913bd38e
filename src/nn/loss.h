// Cross-entropy of a language model over labelled rows only.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "nn/frozen_matrix.h"

namespace lmoe::nn {

inline constexpr int64_t kIgnoreLabel = -100;

/// Rows of logits that live at once: no slower than 512 by measurement, and half their memory.
inline constexpr int64_t kLossChunkRows = 256;

/// Sum over labelled rows of -log p(label), float32 scalar with autograd.
///
/// hidden [N, H] after the final norm; labels [N] int64, already shifted (row i predicts
/// labels[i]), -100 = no label; lm_head [V, H] frozen; `softcap`: logits become cap * tanh(logits /
/// cap). Only labelled rows reach the lm_head, in chunks of `chunk_rows`; logits of a chunk live
/// only while it is worked on, forward and backward.
at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      std::optional<double> softcap = std::nullopt,
                                      int64_t chunk_rows = kLossChunkRows);

}  // namespace lmoe::nn
