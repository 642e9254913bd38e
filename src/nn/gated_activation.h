// The middle of a gated MLP: activation(gate) * up.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// kGeluTanh is the approximation with tanh, kGelu the exact form with erf.
enum class GatedActivation { kSilu, kGeluTanh, kGelu };

/// gate, up [N, I] of one dtype -> [N, I]. Backward keeps gate and up only.
at::Tensor gated_activation(GatedActivation kind, const at::Tensor& gate, const at::Tensor& up);

}  // namespace lmoe::nn
