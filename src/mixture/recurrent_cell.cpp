#include "mixture/recurrent_cell.h"

#include <ATen/ATen.h>

#include <cmath>

#include "mixture/initial.h"

namespace lmoe::mixture {

RecurrentCell::RecurrentCell(int64_t width, const at::TensorOptions& options, Rng& rng) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(width));
  const auto drawn = [&](std::vector<int64_t> shape) {
    at::Tensor tensor = zero_parameter(std::move(shape), options);
    fill_uniform(tensor.detach(), bound, rng);
    return tensor;
  };
  weight_ih_ = drawn({3 * width, width});
  weight_hh_ = drawn({3 * width, width});
  bias_ih_ = drawn({3 * width});
  bias_hh_ = drawn({3 * width});
}

at::Tensor RecurrentCell::step(const at::Tensor& input, const at::Tensor& state) const {
  const at::Tensor before = state.defined() ? state : at::zeros_like(input);
  // Not at::gru_cell, which is another operation on every device.
  const auto x = at::linear(input, weight_ih_, bias_ih_).chunk(3, /*dim=*/1),
             h = at::linear(before, weight_hh_, bias_hh_).chunk(3, /*dim=*/1);
  const at::Tensor reset = at::sigmoid(x[0] + h[0]), update = at::sigmoid(x[1] + h[1]);
  const at::Tensor next = at::tanh(x[2] + reset * h[2]);
  return next + update * (before - next);
}

std::vector<StackedTensor> RecurrentCell::tensors() const {
  return {{"gru.weight_ih", weight_ih_},
          {"gru.weight_hh", weight_hh_},
          {"gru.bias_ih", bias_ih_},
          {"gru.bias_hh", bias_hh_}};
}

}  // namespace lmoe::mixture
