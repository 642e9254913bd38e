#include "train/adamw.h"

#include <ATen/ATen.h>

#include "train/flat_shares.h"

namespace lmoe::train {

AdamW::AdamW(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options)
    : Optimizer(std::move(parameters), options),
      exp_avg_(remember("exp_avg")),
      exp_avg_sq_(remember("exp_avg_sq")),
      steps_(remember_number("step")) {}

void AdamW::update(const std::vector<size_t>& indices, double learning_rate) {
  std::vector<at::Tensor> gradients;
  std::vector<int64_t> sizes;
  for (const size_t i : indices) {
    gradients.push_back(parameters()[i].tensor.grad().contiguous());
    sizes.push_back(gradients.back().numel());
    steps_[i].add_(1);
  }
  share_out(sizes, [&](std::span<const Slice> slices) {
    std::vector<at::Tensor> values, grads, means, squares, steps;
    for (const Slice& slice : slices) {
      const size_t i = indices[slice.tensor];
      values.push_back(slice.of(parameters()[i].tensor.detach()));
      grads.push_back(slice.of(gradients[slice.tensor]));
      means.push_back(slice.of(exp_avg_[i]));
      squares.push_back(slice.of(exp_avg_sq_[i]));
      steps.push_back(steps_[i].select(/*dim=*/0, 0));
    }
    at::_fused_adamw_(values, grads, means, squares, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                      options().adam_beta1, options().adam_beta2, options().weight_decay,
                      options().adam_epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}

}  // namespace lmoe::train
