// Matrix products of a decoder with the gradients that are wanted and no others.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace lmoe::nn {

struct FrozenLinear;

/// x [N, in] -> W x + b of each, [N, out_i]; weights and biases get no gradient. The gradient of x
/// is summed inside the products. Outputs may be changed in place.
std::vector<at::Tensor> frozen_linears(const at::Tensor& x,
                                       const std::vector<FrozenLinear>& linears);

/// x [N, in], weight [out, in] of an adapter -> [N, out].
at::Tensor adapter_linear(const at::Tensor& x, const at::Tensor& weight);

}  // namespace lmoe::nn
