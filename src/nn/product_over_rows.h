// The gradient of a factor: a product whose long side, the tokens, is summed over.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// left [N, R], right [N, W], of one floating type -> scaling * leftᵀ right, [R, W]. Meant for R up
/// to a few hundred: float32 and float64 on the CPU run in kernels/narrow_products.h, which no BLAS
/// is faster than there.
at::Tensor product_over_rows(const at::Tensor& left, const at::Tensor& right, double scaling = 1.0);

}  // namespace lmoe::nn
