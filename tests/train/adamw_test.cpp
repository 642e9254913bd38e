#include "train/adamw.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "train/gradients.h"

namespace lmoe::train {
namespace {

/// Loshchilov & Hutter's algorithm 2, one element, in double.
struct Reference {
  double value, mean = 0, square = 0;
  void step(double grad, int t, double lr, const recipe::OptimizerOptions& o) {
    value -= lr * o.weight_decay * value;
    mean = o.adam_beta1 * mean + (1 - o.adam_beta1) * grad;
    square = o.adam_beta2 * square + (1 - o.adam_beta2) * grad * grad;
    const double mean_hat = mean / (1 - std::pow(o.adam_beta1, t));
    const double square_hat = square / (1 - std::pow(o.adam_beta2, t));
    value -= lr * mean_hat / (std::sqrt(square_hat) + o.adam_epsilon);
  }
};

recipe::OptimizerOptions options() {
  recipe::OptimizerOptions options;
  options.weight_decay = 0.1;
  options.router_lr_multiplier = 3.0;
  return options;
}

TEST(AdamW, FollowsTheAlgorithm) {
  at::manual_seed(1);
  at::Tensor expert = at::randn({37, 5}), gate = at::randn({40});
  std::vector<Reference> experts, gates;
  for (int64_t i = 0; i < expert.numel(); ++i)
    experts.push_back({expert.view(-1)[i].item<double>()});
  for (int64_t i = 0; i < gate.numel(); ++i) gates.push_back({gate[i].item<double>()});
  AdamW optimizer({{"layers.0.mlp.gate_proj.lora_A", expert}, {"layers.0.mlp.gate.weight", gate}},
                  options());
  for (int t = 1; t <= 5; ++t) {
    const double lr = 0.01 * t;
    expert.mutable_grad() = at::randn_like(expert);
    gate.mutable_grad() = at::randn_like(gate);
    for (size_t i = 0; i < experts.size(); ++i)
      experts[i].step(expert.grad().view(-1)[static_cast<int64_t>(i)].item<double>(), t, lr,
                      options());
    for (size_t i = 0; i < gates.size(); ++i)
      gates[i].step(gate.grad()[static_cast<int64_t>(i)].item<double>(), t, 3 * lr, options());
    optimizer.step(lr);
  }
  for (size_t i = 0; i < experts.size(); ++i)
    EXPECT_NEAR(expert.view(-1)[static_cast<int64_t>(i)].item<double>(), experts[i].value, 2e-6);
  for (size_t i = 0; i < gates.size(); ++i)
    EXPECT_NEAR(gate[static_cast<int64_t>(i)].item<double>(), gates[i].value, 2e-6);
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(AdamW, StateGoesOnWhereItStopped) {
  at::manual_seed(2);
  const at::Tensor first = at::randn({9}), grad_a = at::randn({9}), grad_b = at::randn({9});
  at::Tensor whole = first.clone(), half = first.clone();
  AdamW one({{"w", whole}}, options()), two({{"w", half}}, options());
  whole.mutable_grad() = grad_a;
  one.step(0.1);
  half.mutable_grad() = grad_a.clone();
  two.step(0.1);
  AdamW resumed({{"w", half}}, options());
  for (size_t i = 0; i < 3; ++i) resumed.state()[i].tensor.copy_(two.state()[i].tensor);
  resumed.set_steps(two.steps());
  whole.mutable_grad() = grad_b;
  one.step(0.1);
  half.mutable_grad() = grad_b.clone();
  resumed.step(0.1);
  EXPECT_TRUE(at::equal(whole, half));
}

TEST(AdamW, AParameterWhoseFirstGradientComesLateIsUpdatedAsIfNew) {
  at::Tensor early = at::ones({3}), late = at::ones({3}), fresh = at::ones({3});
  AdamW optimizer({{"early", early}, {"late", late}}, options()), other({{"w", fresh}}, options());
  for (int step = 0; step < 50; ++step) {
    early.mutable_grad() = at::full({3}, 0.5);
    optimizer.step(0.1);
  }
  for (int step = 0; step < 3; ++step) {
    late.mutable_grad() = at::full({3}, 0.5);
    fresh.mutable_grad() = at::full({3}, 0.5);
    optimizer.step(0.1);
    other.step(0.1);
  }
  EXPECT_TRUE(at::equal(late, fresh));
}

TEST(AdamW, WithoutAGradientNothingMoves) {
  at::Tensor weight = at::ones({3});
  AdamW optimizer({{"w", weight}}, options());
  optimizer.step(0.1);
  EXPECT_TRUE(at::equal(weight, at::ones({3})));
}

TEST(Gradients, NormAndClipping) {
  at::Tensor a = at::zeros({2}), b = at::zeros({1});
  const std::vector<nn::NamedTensor> all = {{"a", a}, {"b", b}, {"none", at::zeros({4})}};
  a.mutable_grad() = at::tensor({3.0F, 4.0F});
  b.mutable_grad() = at::tensor({12.0F});
  EXPECT_DOUBLE_EQ(gradient_norm(all), 13.0);
  clip_gradients(all, 13.0, 0.0);
  clip_gradients(all, 13.0, 20.0);
  EXPECT_DOUBLE_EQ(gradient_norm(all), 13.0);
  clip_gradients(all, 13.0, 6.5);
  EXPECT_NEAR(gradient_norm(all), 6.5, 1e-6);
  clear_gradients(all);
  EXPECT_FALSE(a.grad().defined());
}

}  // namespace
}  // namespace lmoe::train
