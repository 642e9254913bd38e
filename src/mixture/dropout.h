// Dropout drawn from the run's own generator, so that a resumed run draws the same.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"
#include "nn/forward_context.h"

namespace lmoe::mixture {

/// Each element is 0 with probability `rate`, else multiplied by 1 / (1 - rate).
at::Tensor dropout(const at::Tensor& x, double rate, Rng& rng);

/// What adapters read: x, with dropout while training. Throws kInvalidArgument without a generator.
at::Tensor adapter_input(const at::Tensor& x, double rate, nn::ForwardContext& context);

}  // namespace lmoe::mixture
