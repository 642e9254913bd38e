// Dropout drawn from the run's own generator, so that a resumed run draws the same.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"
#include "mixture/expert_rows.h"
#include "nn/forward_context.h"

namespace lmoe::mixture {

/// Each element is 0 with probability `rate`, else multiplied by 1 / (1 - rate); x [N, D]. One draw
/// of the generator is the seed of all; backward makes the same mask again from it.
at::Tensor dropout(const at::Tensor& x, double rate, Rng& rng);

/// What adapters read: x, with dropout while training. Throws kInvalidArgument without a generator.
at::Tensor adapter_input(const at::Tensor& x, double rate, nn::ForwardContext& context);

/// The mask of one such call, for kernels that apply it themselves; of rate 0 outside training.
DropoutMask dropout_mask(double rate, nn::ForwardContext& context);

}  // namespace lmoe::mixture
