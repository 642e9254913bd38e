// RMSNorm with a frozen weight, alone or fused with the residual sum before it.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32 (double for
/// double). x [..., H] in float32, bfloat16 or double; weight [H] in the type computed in.
/// Backward keeps one number per row and what is normalised: the output, which the layer behind
/// keeps as well, where dividing it by the weight gives it back (not in bfloat16, nor with weights
/// of nearly zero), else x.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

struct NormedSum {
  at::Tensor sum, normed;  ///< [..., H] each
};

/// sum = x + addend, and its norm, in one pass over memory; both [..., H] of one type
/// (kInvalidArgument).
NormedSum add_and_norm(const at::Tensor& x,
                       const at::Tensor& addend,
                       const at::Tensor& weight,
                       double eps);

}  // namespace lmoe::nn
