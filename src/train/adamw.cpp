#include "train/adamw.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "train/flat_shares.h"

namespace lmoe::train {
namespace {

/// Each as [N]; sharing memory.
std::vector<at::Tensor> flat(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& tensor : tensors) all.push_back(tensor.view({-1}));
  return all;
}

}  // namespace

AdamW::AdamW(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options)
    : Optimizer(std::move(parameters), options),
      exp_avg_(flat(remember("exp_avg"))),
      exp_avg_sq_(flat(remember("exp_avg_sq"))),
      steps_(remember_number("step")) {
  for (const nn::NamedTensor& parameter : this->parameters())
    values_.push_back(parameter.tensor.detach().view({-1}));
}

void AdamW::update(const std::vector<size_t>& indices, double learning_rate) {
  std::vector<at::Tensor> gradients;
  std::vector<int64_t> sizes;
  for (const size_t i : indices) {
    LMOE_ASSERT(values_[i].is_alias_of(parameters()[i].tensor));
    gradients.push_back(parameters()[i].tensor.grad().contiguous().view({-1}));
    sizes.push_back(gradients.back().numel());
    *steps_[i].mutable_data_ptr<float>() += 1;
  }
  share_out(sizes, [&](std::span<const Slice> slices) {
    std::vector<at::Tensor> values, grads, means, squares, steps;
    for (const Slice& slice : slices) {
      const size_t i = indices[slice.tensor];
      values.push_back(slice.of(values_[i]));
      grads.push_back(slice.of(gradients[slice.tensor]));
      means.push_back(slice.of(exp_avg_[i]));
      squares.push_back(slice.of(exp_avg_sq_[i]));
      steps.push_back(steps_[i]);
    }
    at::_fused_adamw_(values, grads, means, squares, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                      options().adam_beta1, options().adam_beta2, options().weight_decay,
                      options().adam_epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}

}  // namespace lmoe::train
