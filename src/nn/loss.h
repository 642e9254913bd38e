// Cross-entropy of a language model over labelled rows only.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <optional>

#include "nn/frozen_matrix.h"

namespace lmoe::nn {

inline constexpr int64_t kIgnoreLabel = -100;

/// Rows of logits that live at once: a quarter of all, so that they stay small beside the
/// activations of the same tokens, but 128 to 256. By measurement 256 are as fast as 512, and 128
/// take a few percent of the loss more.
inline int64_t loss_chunk_rows(int64_t rows) { return std::clamp<int64_t>(rows / 4, 128, 256); }

/// Sum over labelled rows of -log p(label), float32 scalar with autograd.
///
/// hidden [N, H] after the final norm; labels [N] int64, already shifted (row i predicts
/// labels[i]), -100 = no label; lm_head [V, H] frozen; `softcap`: logits become cap * tanh(logits /
/// cap). Only labelled rows reach the lm_head, in chunks of `chunk_rows`, else by
/// `loss_chunk_rows`; logits of a chunk live only while it is worked on, forward and backward.
at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      std::optional<double> softcap = std::nullopt,
                                      std::optional<int64_t> chunk_rows = std::nullopt);

}  // namespace lmoe::nn
