// Operations of this room as ATen composes them and autograd differentiates them, for tensors on
// devices that our kernels do not know.
//
// Those of the same names in rms_norm.h, rope.h, gated_activation.h, attention.h and loss.h, which
// tell shapes and types, call these where a tensor is not on the CPU. They give the same numbers,
// but for the order in which sums are added, are slower and keep more for the backward. On the CPU
// tests hold the kernels against them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/attention.h"
#include "nn/frozen_matrix.h"
#include "nn/gated_activation.h"
#include "nn/rope.h"

namespace lmoe::nn::with_aten {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

at::Tensor gated_activation(GatedActivation kind, const at::Tensor& gate, const at::Tensor& up);

/// Without a cache. The scores of a document of L tokens are there at once, L^2 per head, and are
/// kept for the backward.
at::Tensor attention(const at::Tensor& q,
                     const at::Tensor& k,
                     const at::Tensor& v,
                     const AttentionShape& shape,
                     const std::vector<Segment>& segments);

/// Rows whose logits are there whole, a few times.
inline constexpr int64_t kLossRows = 256;

/// `lm_head` is dense, `labels` are on any device; `softcap` 0 = off. Logits of a chunk, of at most
/// `kLossRows` rows, live only while it is worked on.
at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      double softcap,
                                      int64_t chunk_rows);

}  // namespace lmoe::nn::with_aten
