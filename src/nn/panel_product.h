// A matrix that is too large to be expanded whole, the head of a model, in panels of rows of its
// vocabulary.
//
// The loss takes the same panels of dense matrices, so that how weights are kept changes no bit of
// it or of a gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "nn/frozen_matrix.h"

namespace lmoe::nn {

/// Elements of a panel, about: 4.5 MB of float32, which stay in the last level of a cache, between
/// being expanded and being multiplied and between products; enough for oneDNN to be worth it for
/// one row (matrix_product.cpp).
inline constexpr int64_t kPanelElements = int64_t{9} << 17;
/// But no fewer rows, since sums over panels are read and written for each.
inline constexpr int64_t kLeastPanelRows = 512;

/// Rows of a panel but for the last one, of a matrix [rows, columns]; bounds what
/// `FrozenMatrix::borrow` takes.
int64_t panel_rows(int64_t rows, int64_t columns);

/// body(first row, panel [rows, columns]) for each panel, from the first to the last.
template <class Body>
void for_each_panel(const FrozenMatrix& weight, const Body& body) {
  const int64_t step = panel_rows(weight.rows(), weight.columns());
  for (int64_t first = 0; first < weight.rows(); first += step)
    body(first, weight.borrow(first, std::min(step, weight.rows() - first)));
}

/// x [N, columns] -> y = x Wᵀ, written into y [N, rows]; no gradient.
void product_in_panels(const at::Tensor& x, const FrozenMatrix& weight, const at::Tensor& y);

}  // namespace lmoe::nn
