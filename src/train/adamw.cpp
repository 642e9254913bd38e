#include "train/adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"

namespace lmoe::train {

bool is_router_parameter(const nn::NamedTensor& parameter) {
  return parameter.name.find(".gate.") != std::string::npos;
}

AdamW::AdamW(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const nn::NamedTensor& parameter : parameters_) {
    LMOE_CHECK_ARG(parameter.tensor.is_floating_point() && parameter.tensor.is_contiguous(),
                   "[optimizer] ", parameter.name, " is no contiguous floating-point tensor");
    const Slot slot = {parameter.tensor, at::zeros_like(parameter.tensor).detach(),
                       at::zeros_like(parameter.tensor).detach(),
                       at::zeros({1}, at::TensorOptions().dtype(at::kFloat))};
    (is_router_parameter(parameter) ? routers_ : experts_).push_back(slot);
    state_.push_back({"exp_avg." + parameter.name, slot.exp_avg});
    state_.push_back({"exp_avg_sq." + parameter.name, slot.exp_avg_sq});
    state_.push_back({"step." + parameter.name, slot.step});
  }
}

void AdamW::step(double learning_rate) {
  const c10::NoGradGuard no_grad;
  update(experts_, learning_rate);
  update(routers_, learning_rate * options_.router_lr_multiplier);
  ++steps_;
}

void AdamW::update(const std::vector<Slot>& slots, double learning_rate) {
  std::vector<at::Tensor> parameters, grads, means, squares, steps;
  for (const Slot& slot : slots) {
    const at::Tensor& grad = slot.parameter.grad();
    if (!grad.defined()) continue;
    parameters.push_back(slot.parameter);
    grads.push_back(grad.contiguous());
    means.push_back(slot.exp_avg);
    squares.push_back(slot.exp_avg_sq);
    at::Tensor(slot.step).add_(1);
    steps.push_back(slot.step.select(/*dim=*/0, 0));
  }
  if (parameters.empty()) return;
  at::_fused_adamw_(parameters, grads, means, squares, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                    options_.adam_beta1, options_.adam_beta2, options_.weight_decay,
                    options_.adam_epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

std::vector<nn::NamedTensor> AdamW::state() const { return state_; }

}  // namespace lmoe::train
