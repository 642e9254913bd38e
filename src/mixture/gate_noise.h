// Noise that makes gates try other experts while they train.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"

namespace lmoe::mixture {

/// x times independent uniform numbers in [1 - amount, 1 + amount).
at::Tensor jitter(const at::Tensor& x, double amount, Rng& rng);

/// x plus independent normal numbers.
at::Tensor add_normal_noise(const at::Tensor& x, double deviation, Rng& rng);

}  // namespace lmoe::mixture
