#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "train/adamw.h"
#include "train/sgd.h"

namespace lmoe::train {

bool is_router_parameter(const nn::NamedTensor& parameter) {
  return parameter.name.find(".gate.") != std::string::npos;
}

Optimizer::Optimizer(std::vector<nn::NamedTensor> parameters,
                     const recipe::OptimizerOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const nn::NamedTensor& parameter : parameters_) {
    LMOE_CHECK_ARG(parameter.tensor.is_floating_point() && parameter.tensor.is_contiguous(),
                   "[optimizer] ", parameter.name, " is no contiguous floating-point tensor");
  }
}

void Optimizer::step(double learning_rate) {
  const c10::NoGradGuard no_grad;
  std::vector<size_t> experts, routers;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].tensor.grad().defined())
      (is_router_parameter(parameters_[i]) ? routers : experts).push_back(i);
  }
  if (!experts.empty()) update(experts, learning_rate);
  if (!routers.empty()) update(routers, learning_rate * options_.router_lr_multiplier);
  ++steps_;
}

void Optimizer::forget() {
  for (const nn::NamedTensor& remembered : state_) at::Tensor(remembered.tensor).zero_();
}

std::vector<at::Tensor> Optimizer::remember(const std::string& what) {
  std::vector<at::Tensor> tensors;
  for (const nn::NamedTensor& parameter : parameters_) {
    tensors.push_back(at::zeros_like(parameter.tensor).detach());
    state_.push_back({what + "." + parameter.name, tensors.back()});
  }
  return tensors;
}

std::vector<at::Tensor> Optimizer::remember_number(const std::string& what) {
  std::vector<at::Tensor> numbers;
  for (const nn::NamedTensor& parameter : parameters_) {
    numbers.push_back(at::zeros({1}, at::TensorOptions().dtype(at::kFloat)));
    state_.push_back({what + "." + parameter.name, numbers.back()});
  }
  return numbers;
}

std::unique_ptr<Optimizer> make_optimizer(std::vector<nn::NamedTensor> parameters,
                                          const recipe::OptimizerOptions& options) {
  if (options.optimizer == recipe::Optimizer::kSgd)
    return std::make_unique<Sgd>(std::move(parameters), options);
  return std::make_unique<AdamW>(std::move(parameters), options);
}

}  // namespace lmoe::train
