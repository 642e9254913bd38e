// One matrix per gate, stacked by rows.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::mixture {

/// input [N, D], the same for all, or [N, G, D]; weight [G * M, D] -> [N, G, M]
at::Tensor stacked_linear(const at::Tensor& input, const at::Tensor& weight, int64_t gates);

}  // namespace lmoe::mixture
