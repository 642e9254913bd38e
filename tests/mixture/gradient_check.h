// Autograd against central differences in double precision.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "nn/projection.h"

namespace lmoe::test {

/// `loss` is a scalar of `inputs` (leaves that require grad, double). For every element, autograd
/// and (f(x + h) - f(x - h)) / 2h differ by less than 1e-6 of the largest gradient of its tensor.
inline void check_gradients(const std::function<at::Tensor()>& loss,
                            const std::vector<nn::NamedTensor>& inputs) {
  constexpr double kStep = 1e-5, kTolerance = 1e-6;
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
      const double before = values[i];
      values[i] = before + kStep;
      const double above = loss().item<double>();
      values[i] = before - kStep;
      const double below = loss().item<double>();
      values[i] = before;
      const double expected = (above - below) / (2 * kStep);
      ASSERT_LT(std::abs(given[i] - expected) / scale, kTolerance)
          << inputs[n].name << "[" << i << "]: autograd " << given[i] << ", difference "
          << expected;
    }
  }
}

}  // namespace lmoe::test
