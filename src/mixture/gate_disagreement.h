// How sure a gate is: `gate.uncertainty_passes`.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace lmoe::mixture {

/// passes, each [N, G, E] -> mean / (1 + deviation over the passes, of the population): the mean
/// itself where all agree (mofme.md with eps 1). Differentiable everywhere.
at::Tensor divided_by_disagreement(const std::vector<at::Tensor>& passes);

}  // namespace lmoe::mixture
