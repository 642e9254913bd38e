// The reward head against its formula, and the loss that compares rewards.
#include "nn/reward_head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;

at::Tensor index(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

at::Tensor parameter(const RewardHead& head, const std::string& name) {
  for (const NamedTensor& one : head.parameters())
    if (one.name == "reward." + name) return one.tensor.detach();
  return {};
}

/// Away from the first values, where all heads are the same.
void randomise(const RewardHead& head) {
  for (const NamedTensor& one : head.parameters()) one.tensor.detach().normal_(0.0, 0.5);
}

TEST(RewardHead, BeginsWithTheHeadsItIsGiven) {
  at::manual_seed(2);
  const RewardHead base({.hidden_size = 3, .heads = 2}, 1, at::kDouble);
  randomise(base);
  RewardHead own({.hidden_size = 3, .heads = 3}, 2, at::kDouble);
  const std::vector<int64_t> heads = {1, 0, 1};
  own.begin_with(base, heads);
  for (int64_t g = 0; g < 3; ++g)
    EXPECT_TRUE(at::equal(parameter(own, "value")[g],
                          parameter(base, "value")[heads[static_cast<size_t>(g)]]));
  for (const std::vector<int64_t>& wrong :
       std::vector<std::vector<int64_t>>{{1, 0}, {0, 1, 2}, {0, -1, 0}})
    EXPECT_THROW(own.begin_with(base, wrong), Error);
  RewardHead wide({.hidden_size = 4, .heads = 3}, 2),
      joined({.hidden_size = 3, .heads = 3, .passes = 2}, 2);
  for (RewardHead* other : {&wide, &joined}) EXPECT_THROW(other->begin_with(base, heads), Error);
  EXPECT_THROW(own.begin_with(joined, heads), Error);
}

TEST(RewardHead, EqualsItsFormula) {
  at::manual_seed(1);
  const RewardHead head({.hidden_size = 5, .heads = 3, .passes = 2}, 7, at::kDouble);
  randomise(head);
  const at::Tensor states = at::randn({4, 10}, at::kDouble), which = index({2, 0, 2, 1});
  const at::Tensor rewards = head.rewards(states, which);
  for (int64_t d = 0; d < 4; ++d) {
    const int64_t g = which[d].item<int64_t>();
    const double slope = parameter(head, "slope")[g].item<double>();
    double expected = 0;
    for (int64_t i = 0; i < 5; ++i) {
      double z = parameter(head, "aggregator_bias")[g][i].item<double>();
      for (int64_t j = 0; j < 10; ++j)
        z += parameter(head, "aggregator")[g][i][j].item<double>() * states[d][j].item<double>();
      expected += (z >= 0 ? z : slope * z) * parameter(head, "value")[g][i].item<double>();
    }
    EXPECT_NEAR(rewards[d].item<double>(), expected, 1e-12);
  }
  const RewardHead plain({.hidden_size = 5}, 7, at::kDouble);
  EXPECT_TRUE(at::allclose(plain.rewards(states.narrow(1, 0, 5), index({0, 0, 0, 0})),
                           at::mv(states.narrow(1, 0, 5), parameter(plain, "value")[0])));
}

TEST(RewardHead, AllHeadsBeginAlike) {
  const RewardHead head({.hidden_size = 64, .heads = 3, .passes = 2}, 7);
  for (const NamedTensor& one : head.parameters())
    EXPECT_TRUE(at::equal(one.tensor[0], one.tensor[2])) << one.name;
  EXPECT_EQ(parameter(head, "slope")[0].item<float>(), 0.25F);
  EXPECT_NEAR(parameter(head, "value")[0].std().item<double>(), 1 / std::sqrt(65.0), 0.03);
  EXPECT_NEAR(parameter(head, "aggregator").abs().max().item<double>(), 1 / std::sqrt(128.0), 1e-3);
}

TEST(RewardHead, GradientsEqualCentralDifferences) {
  at::manual_seed(2);
  const RewardHead head({.hidden_size = 4, .heads = 2, .passes = 3}, 7, at::kDouble);
  randomise(head);
  const at::Tensor which = index({1, 0, 1, 1, 0, 0});
  const auto loss = [&](const at::Tensor& states) {
    const at::Tensor rewards = head.rewards(states, which);
    return preference_loss_sum(rewards.narrow(0, 0, 3), rewards.narrow(0, 3, 3));
  };
  const at::Tensor states = at::randn({6, 12}, at::kDouble);
  EXPECT_LT(gradient_error([&](const auto& in) { return loss(in[0]); }, {states}), 1e-8);
  for (const NamedTensor& one : head.parameters())
    at::Tensor(one.tensor).mutable_grad() = at::Tensor();
  loss(states).backward();
  for (const NamedTensor& one : head.parameters()) {
    double* values = one.tensor.detach().data_ptr<double>();
    for (int64_t i = 0; i < one.tensor.numel(); ++i) {
      const c10::NoGradGuard no_grad;
      const double expected =
          test::central_difference([&] { return loss(states).item<double>(); }, values[i]);
      EXPECT_NEAR(one.tensor.grad().reshape({-1})[i].item<double>(), expected, 1e-8) << one.name;
    }
  }
}

TEST(RewardHead, OnlyTheChosenHeadActs) {
  at::manual_seed(3);
  const RewardHead head({.hidden_size = 4, .heads = 3, .passes = 2}, 7);
  randomise(head);
  const at::Tensor states = at::randn({3, 8}), which = index({1, 1, 1});
  const at::Tensor before = head.rewards(states, which).detach();
  for (const NamedTensor& one : head.parameters())
    for (const int64_t other : {0, 2}) one.tensor.detach()[other].add_(1.0);
  EXPECT_TRUE(at::equal(head.rewards(states, which), before));
}

TEST(PreferenceLoss, IsMinusLogSigmoidOfTheMargin) {
  const at::Tensor chosen = at::tensor({1.5, -2.0, 40.0}, at::kDouble);
  const at::Tensor rejected = at::tensor({0.5, 1.0, -40.0}, at::kDouble);
  const double expected = std::log1p(std::exp(-1.0)) + std::log1p(std::exp(3.0));
  EXPECT_NEAR(preference_loss_sum(chosen, rejected).item<double>(), expected, 1e-12);
}

/// Invariant 3 of dmoerm: swapping both sides turns the margin m into -m, and
/// loss(m) - loss(-m) = -m.
TEST(PreferenceLoss, SwappingSidesTurnsTheMarginRound) {
  const at::Tensor a = at::randn({50}, at::kDouble), b = at::randn({50}, at::kDouble);
  const double there = preference_loss_sum(a, b).item<double>();
  const double back = preference_loss_sum(b, a).item<double>();
  EXPECT_NEAR(there - back, -(a - b).sum().item<double>(), 1e-10);
}

TEST(RewardHead, IsSavedBitForBit) {
  const test::TempFolder folder;
  for (const int64_t passes : {1, 3}) {
    const RewardHead head({.hidden_size = 6, .heads = 2, .passes = passes}, 5);
    randomise(head);
    head.save(reward_head_file(folder.path()));
    const auto loaded = RewardHead::load(reward_head_file(folder.path()));
    EXPECT_EQ(loaded->shape(), head.shape());
    for (size_t i = 0; i < head.parameters().size(); ++i)
      EXPECT_TRUE(at::equal(loaded->parameters()[i].tensor, head.parameters()[i].tensor));
    RewardHead other({.hidden_size = 6, .heads = 3, .passes = passes}, 5);
    EXPECT_THROW(other.copy_from(head), Error);
  }
}

TEST(RewardHead, RefusesDocumentsOfOtherTasks) {
  const RewardHead head({.hidden_size = 4, .heads = 2}, 7);
  EXPECT_THROW(head.rewards(at::randn({1, 4}), index({2})), Error);
  EXPECT_THROW(head.rewards(at::randn({1, 4}), index({-1})), Error);
  EXPECT_THROW(head.rewards(at::randn({1, 5}), index({0})), Error);
}

}  // namespace
}  // namespace lmoe::nn
