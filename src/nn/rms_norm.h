// RMSNorm with a frozen weight.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32 (double for
/// double). x [..., H] in float32, bfloat16 or double; weight [H] in the type computed in. Backward
/// keeps x and one number per row.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace lmoe::nn
