// Entropy of routing probabilities.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/entropy_spec.h"

namespace lmoe::mixture {

/// Of each row of `probabilities` [..., E], with autograd; see EntropySpec. [...]
at::Tensor entropy(const at::Tensor& probabilities, const spec::EntropySpec& spec);

}  // namespace lmoe::mixture
