// The leave-one-out gradient: remix.md, invariants 4 to 6, by going through every pair of draws.
#include "train/gradient_estimator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "mixture/draw_experts.h"

namespace lmoe::train {
namespace {

using Order = std::vector<int64_t>;

const std::vector<Order> kOrders = {{0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 2}, {2, 1}};

at::Tensor logits_of_gate() {
  return at::log(at::tensor({0.5, 0.3, 0.2}, at::kDouble)).requires_grad_(true);
}

/// {01}: 1, {02}: 3, {12}: 0.5
double loss_of(const Order& order) {
  const int64_t sum = order[0] + order[1];
  return sum == 1 ? 1.0 : sum == 2 ? 3.0 : 0.5;
}

at::Tensor log_draw(const at::Tensor& logits, const Order& order) {
  return mixture::log_probability(logits.view({1, 3}), at::tensor(order, at::kLong).view({1, 2}));
}

/// What the estimator makes of these draws and losses; `scale` times the expert's parameter is
/// the loss's way to it.
at::Tensor estimate(const std::vector<Order>& draws,
                    const std::vector<double>& losses,
                    const at::Tensor& expert) {
  const at::Tensor logits = logits_of_gate();
  const auto estimator = make_leave_one_out(static_cast<int64_t>(draws.size()), {logits});
  for (size_t m = 0; m < draws.size(); ++m) {
    nn::RouterLog log;
    log.records.push_back({"site", 0, {}, {}, {}, {}, log_draw(logits, draws[m])});
    estimator->add(expert * losses[m], {}, log);
  }
  estimator->finish();
  return logits.grad();
}

at::Tensor one() { return at::ones({}, at::kDouble).requires_grad_(true); }

TEST(LeaveOneOut, IsUnbiasedForTheExpectedLoss) {
  at::Tensor expected = at::zeros({3}, at::kDouble);
  const at::Tensor logits = logits_of_gate();
  for (const Order& first : kOrders) {
    for (const Order& second : kOrders) {
      const double probability =
          std::exp((log_draw(logits, first) + log_draw(logits, second)).item<double>());
      expected += probability * estimate({first, second}, {loss_of(first), loss_of(second)}, one());
    }
  }
  at::Tensor mean_loss = at::zeros({}, at::kDouble);
  for (const Order& order : kOrders)
    mean_loss = mean_loss + log_draw(logits, order).exp().sum() * loss_of(order);
  mean_loss.backward();
  EXPECT_LT((expected - logits.grad()).abs().max().item<double>(), 1e-14);
  const at::Tensor of_the_card = at::tensor({0.2629783, -0.5709375, 0.3079592}, at::kDouble);
  EXPECT_LT((expected - of_the_card).abs().max().item<double>(), 1e-7);
}

TEST(LeaveOneOut, EqualLossesTeachNothing) {
  const at::Tensor gradient = estimate({{0, 1}, {1, 2}, {2, 0}}, {2.5, 2.5, 2.5}, one());
  EXPECT_LT(gradient.abs().max().item<double>(), 1e-15);
}

TEST(LeaveOneOut, AConstantAddedToAllLossesChangesNothing) {
  const std::vector<Order> draws = {{0, 1}, {1, 2}, {2, 0}};
  const at::Tensor before = estimate(draws, {1.0, 0.5, 3.0}, one());
  const at::Tensor after = estimate(draws, {11.0, 10.5, 13.0}, one());
  EXPECT_GT(before.abs().max().item<double>(), 0.1);
  EXPECT_LT((before - after).abs().max().item<double>(), 1e-14);
}

TEST(LeaveOneOut, ExpertsGetTheMeanOfTheGradients) {
  const at::Tensor expert = one();
  estimate({{0, 1}, {1, 2}}, {1.0, 0.5}, expert);
  EXPECT_DOUBLE_EQ(expert.grad().item<double>(), 0.75);
}

}  // namespace
}  // namespace lmoe::train
