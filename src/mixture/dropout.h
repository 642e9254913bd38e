// Dropout whose mask comes from the run's own generator, so that a resumed run draws the same.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"

namespace lmoe::mixture {

/// Each element is 0 with probability `rate`, else multiplied by 1 / (1 - rate).
at::Tensor dropout(const at::Tensor& x, double rate, Rng& rng);

}  // namespace lmoe::mixture
