// Cross-entropy of a language model over labelled rows only.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "nn/frozen_matrix.h"

namespace lmoe::nn {

inline constexpr int64_t kIgnoreLabel = -100;

/// Rows whose logits are made together, panel by panel of the vocabulary (nn/panel_product.h).
inline constexpr int64_t kLossRows = 2048;

/// Sum over labelled rows of -log p(label), float32 scalar with autograd.
///
/// hidden [N, H] after the final norm; labels [N] int64, already shifted (row i predicts
/// labels[i]), -100 = no label; lm_head [V, H] frozen; `softcap`: logits become cap * tanh(logits /
/// cap). Only labelled rows reach the lm_head, `chunk_rows` at once; of their logits only a panel
/// lives at a time, and it becomes its part of the gradient while it is in the cache (on the CPU;
/// elsewhere nn/with_aten.h says how many rows).
at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      std::optional<double> softcap = std::nullopt,
                                      int64_t chunk_rows = kLossRows);

}  // namespace lmoe::nn
