// Products with a matrix that is too large to be expanded whole: the head of a model, its
// vocabulary in panels of rows.
//
// Dense matrices of float32 and float64 take the same panels, so that how weights are kept changes
// no bit of a loss or a gradient. Those of bfloat16 are multiplied whole: one product rounds once.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/frozen_matrix.h"

namespace lmoe::nn {

/// Elements of a panel, about: 8 MB of float32, which stay in the last level of a cache between
/// being expanded and being multiplied.
inline constexpr int64_t kPanelElements = int64_t{1} << 21;

/// Rows of a panel but for the last one; bounds what `FrozenMatrix::borrow` takes.
int64_t panel_rows(const FrozenMatrix& weight);

/// x [N, columns] -> y = x Wᵀ, written into y [N, rows]; no gradient.
void product_in_panels(const at::Tensor& x, const FrozenMatrix& weight, const at::Tensor& y);

/// dy [N, rows] -> dy W, [N, columns]; no gradient.
at::Tensor product_back_in_panels(const at::Tensor& dy, const FrozenMatrix& weight);

}  // namespace lmoe::nn
