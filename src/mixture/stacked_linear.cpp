#include "mixture/stacked_linear.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {

at::Tensor stacked_linear(const at::Tensor& input, const at::Tensor& weight, int64_t gates) {
  const int64_t rows = weight.size(0) / gates;
  if (input.dim() == 2) return at::linear(input, weight).view({input.size(0), gates, rows});
  const at::Tensor by_gate = weight.view({gates, rows, weight.size(1)});
  return at::bmm(input.transpose(0, 1), by_gate.transpose(1, 2)).transpose(0, 1);
}

}  // namespace lmoe::mixture
