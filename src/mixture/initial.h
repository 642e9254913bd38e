// First values of trained tensors, drawn from our own generator so that a seed means the same run
// on every machine.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/rng.h"

namespace lmoe::mixture {

/// Leaf tensors that require grad.
at::Tensor normal_parameter(std::vector<int64_t> shape, double deviation, at::ScalarType, Rng&);
at::Tensor zero_parameter(std::vector<int64_t> shape, at::ScalarType);

/// Fills a contiguous float or double tensor in place, row by row.
void fill_uniform(at::Tensor tensor, double bound, Rng&);

}  // namespace lmoe::mixture
