// Autograd against central differences, in double.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace lmoe::test {

/// `function` maps the inputs to a tensor of any shape; its sum with fixed weights is
/// differentiated. Returns the largest difference between autograd and central differences,
/// relative to the largest gradient. At most `probes` entries per input are perturbed.
inline double gradient_error(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function,
    std::vector<at::Tensor> inputs,
    int64_t probes = 40) {
  for (at::Tensor& input : inputs)
    input = input.detach().to(at::kDouble).clone().set_requires_grad(true);
  at::Tensor weights;
  const auto objective = [&] {
    const at::Tensor out = function(inputs).to(at::kDouble).reshape({-1});
    if (!weights.defined()) weights = at::linspace(-1.0, 1.3, out.numel(), at::kDouble).cos();
    return out.dot(weights);
  };
  objective().backward();

  double worst = 0, largest = 1e-12;
  constexpr double kStep = 1e-5;
  for (const at::Tensor& input : inputs) {
    c10::NoGradGuard no_grad;
    const at::Tensor gradient =
        input.grad().defined() ? input.grad().contiguous() : at::zeros_like(input);
    double* values = input.data_ptr<double>();
    const int64_t stride = std::max<int64_t>(1, input.numel() / probes);
    for (int64_t i = 0; i < input.numel(); i += stride) {
      const double original = values[i];
      values[i] = original + kStep;
      const double above = objective().item<double>();
      values[i] = original - kStep;
      const double below = objective().item<double>();
      values[i] = original;
      const double expected = (above - below) / (2 * kStep);
      worst = std::max(worst, std::abs(expected - gradient.data_ptr<double>()[i]));
      largest = std::max(largest, std::abs(expected));
    }
  }
  return worst / largest;
}

/// Largest difference relative to the largest expected magnitude; absolute when that is zero.
inline double relative_error(const at::Tensor& given, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  const double largest = wide.abs().max().item<double>();
  const double difference = (given.to(at::kDouble) - wide).abs().max().item<double>();
  return largest > 0 ? difference / largest : difference;
}

}  // namespace lmoe::test
