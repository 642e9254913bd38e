#include "train/gradients.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

namespace lmoe::train {

double gradient_norm(const std::vector<nn::NamedTensor>& parameters) {
  const c10::NoGradGuard no_grad;
  double sum = 0.0;
  for (const nn::NamedTensor& parameter : parameters) {
    const at::Tensor& grad = parameter.tensor.grad();
    if (!grad.defined()) continue;
    const double length = at::linalg_vector_norm(grad, 2, {}, false, at::kDouble).item<double>();
    sum += length * length;
  }
  return std::sqrt(sum);
}

void clip_gradients(const std::vector<nn::NamedTensor>& parameters, double norm, double max_norm) {
  if (max_norm <= 0.0 || norm <= max_norm) return;
  const c10::NoGradGuard no_grad;
  for (const nn::NamedTensor& parameter : parameters) {
    at::Tensor grad = parameter.tensor.grad();
    if (grad.defined()) grad.mul_(max_norm / norm);
  }
}

void clear_gradients(const std::vector<nn::NamedTensor>& parameters) {
  for (const nn::NamedTensor& parameter : parameters)
    at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
}

}  // namespace lmoe::train
