#include "train/sgd.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace lmoe::train {
namespace {

recipe::OptimizerOptions options(double momentum) {
  recipe::OptimizerOptions options;
  options.optimizer = recipe::Optimizer::kSgd;
  options.weight_decay = 0.1;
  options.router_lr_multiplier = 3.0;
  if (momentum > 0) options.sgd_momentum = momentum;
  return options;
}

/// Loshchilov & Hutter's algorithm 1 with the rate outside of the momentum, as torch has it; in
/// double.
void follow(
    at::Tensor& value, at::Tensor& momentum, const at::Tensor& grad, double factor, double lr) {
  momentum = factor * momentum + grad;
  value = value - lr * 0.1 * value - lr * momentum;
}

TEST(Sgd, FollowsTheAlgorithm) {
  for (const double factor : {0.0, 0.9}) {
    at::manual_seed(1);
    at::Tensor expert = at::randn({37, 5}), gate = at::randn({40});
    at::Tensor wanted_expert = expert.to(at::kDouble), wanted_gate = gate.to(at::kDouble);
    at::Tensor expert_momentum = at::zeros_like(wanted_expert);
    at::Tensor gate_momentum = at::zeros_like(wanted_gate);
    const auto optimizer = make_optimizer(
        {{"layers.0.mlp.gate_proj.lora_A", expert}, {"layers.0.mlp.gate.weight", gate}},
        options(factor));
    EXPECT_EQ(optimizer->state().size(), factor > 0 ? 2U : 0U);
    for (int t = 1; t <= 5; ++t) {
      const double lr = 0.01 * t;
      expert.mutable_grad() = at::randn_like(expert);
      gate.mutable_grad() = at::randn_like(gate);
      follow(wanted_expert, expert_momentum, expert.grad(), factor, lr);
      follow(wanted_gate, gate_momentum, gate.grad(), factor, 3 * lr);
      optimizer->step(lr);
    }
    EXPECT_LT((expert - wanted_expert).abs().max().item<double>(), 2e-6);
    EXPECT_LT((gate - wanted_gate).abs().max().item<double>(), 2e-6);
    EXPECT_EQ(optimizer->steps(), 5);
  }
}

TEST(Sgd, WithoutAGradientNothingMoves) {
  at::Tensor weight = at::ones({3});
  Sgd optimizer({{"w", weight}}, options(0.9));
  optimizer.step(0.1);
  EXPECT_TRUE(at::equal(weight, at::ones({3})));
}

}  // namespace
}  // namespace lmoe::train
