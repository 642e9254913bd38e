#include "train/sgd.h"

#include <ATen/ATen.h>

namespace lmoe::train {

Sgd::Sgd(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options)
    : Optimizer(std::move(parameters), options), factor_(options.sgd_momentum.value_or(0.0)) {
  if (factor_ > 0) momentum_ = remember("momentum");
}

void Sgd::update(const std::vector<size_t>& indices, double learning_rate) {
  for (const size_t i : indices) {
    at::Tensor value = parameters()[i].tensor, direction = value.grad();
    if (!momentum_.empty()) direction = momentum_[i].mul_(factor_).add_(direction);
    if (options().weight_decay > 0) value.mul_(1 - learning_rate * options().weight_decay);
    value.add_(direction, -learning_rate);
  }
}

}  // namespace lmoe::train
