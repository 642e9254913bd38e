// Autograd against central differences, in double.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "nn/projection.h"

namespace lmoe::test {

/// (f(value + h) - f(value - h)) / 2h; `value` is as before afterwards.
inline double central_difference(const std::function<double()>& f, double& value) {
  constexpr double kStep = 1e-5;
  const double before = value;
  value = before + kStep;
  const double above = f();
  value = before - kStep;
  const double below = f();
  value = before;
  return (above - below) / (2 * kStep);
}

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
  for (const at::Tensor& input : inputs) {
    c10::NoGradGuard no_grad;
    const at::Tensor gradient =
        input.grad().defined() ? input.grad().contiguous() : at::zeros_like(input);
    double* values = input.data_ptr<double>();
    const int64_t stride = std::max<int64_t>(1, input.numel() / probes);
    for (int64_t i = 0; i < input.numel(); i += stride) {
      const double expected =
          central_difference([&] { return objective().item<double>(); }, values[i]);
      worst = std::max(worst, std::abs(expected - gradient.data_ptr<double>()[i]));
      largest = std::max(largest, std::abs(expected));
    }
  }
  return worst / largest;
}

/// `loss` is a scalar of `inputs` (leaves that require grad, double). For every element, autograd
/// and the central difference differ by less than 1e-6 of the largest gradient of its tensor.
inline void check_gradients(const std::function<at::Tensor()>& loss,
                            const std::vector<nn::NamedTensor>& inputs) {
  constexpr double kTolerance = 1e-6;
  for (const nn::NamedTensor& input : inputs) input.tensor.mutable_grad() = at::Tensor();
  loss().backward();
  std::vector<at::Tensor> gradients;
  for (const nn::NamedTensor& input : inputs) {
    ASSERT_TRUE(input.tensor.grad().defined()) << input.name << " got no gradient";
    gradients.push_back(input.tensor.grad().clone());
  }
  const at::NoGradGuard no_grad;
  for (size_t n = 0; n < inputs.size(); ++n) {
    const at::Tensor& tensor = inputs[n].tensor;
    double* values = tensor.data_ptr<double>();
    const double* given = gradients[n].data_ptr<double>();
    const double scale = std::max(gradients[n].abs().max().item<double>(), 1e-3);
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      const double expected = central_difference([&] { return loss().item<double>(); }, values[i]);
      ASSERT_LT(std::abs(given[i] - expected) / scale, kTolerance)
          << inputs[n].name << "[" << i << "]: autograd " << given[i] << ", difference "
          << expected;
    }
  }
}

/// Largest difference relative to the largest expected magnitude; absolute when that is zero.
inline double relative_error(const at::Tensor& given, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  const double largest = wide.abs().max().item<double>();
  const double difference = (given.to(at::kDouble) - wide).abs().max().item<double>();
  return largest > 0 ? difference / largest : difference;
}

}  // namespace lmoe::test
