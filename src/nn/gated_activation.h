// The middle of a gated MLP: activation(gate) * up.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/gated_activation.h"

namespace lmoe::nn {

using kernels::GatedActivation;

/// gate, up [N, I] of one dtype -> [N, I]. Backward keeps gate and up only.
at::Tensor gated_activation(GatedActivation kind, const at::Tensor& gate, const at::Tensor& up);

}  // namespace lmoe::nn
