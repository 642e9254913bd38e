// The ninth acceptance invariant of L-MoE: what the balance losses measure.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "spec/method_info.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;

nn::RouterLog log_of(const at::Tensor& probabilities) {
  nn::RouterLog log;
  log.records.push_back({"layers.0.mlp", 0, probabilities, probabilities});
  return log;
}

double value(spec::BalanceLoss kind, const at::Tensor& probabilities) {
  return mixture::balance_loss({kind}, log_of(probabilities)).item<double>();
}

TEST(LMoeBalance, Invariant9UniformLoadHasTheValueAtBalance) {
  // Each token prefers another expert, so that the mean and the first choices are both even.
  const at::Tensor p = 0.7 * at::eye(4, at::kDouble) + 0.3 / 4;
  EXPECT_NEAR(value(spec::BalanceLoss::kCv2, p), 0.0, 1e-15);
  EXPECT_NEAR(value(spec::BalanceLoss::kSwitch, p), 1.0, 1e-15);
  EXPECT_NEAR(value(spec::BalanceLoss::kKl, p), 0.0, 1e-15);
}

TEST(LMoeBalance, Invariant9CollapseOnOneExpert) {
  const double n = 4;
  at::Tensor p = at::zeros({6, 4}, at::kDouble);
  p.select(1, 2).fill_(1.0);
  EXPECT_NEAR(value(spec::BalanceLoss::kCv2, p), n - 1, 1e-12);
  EXPECT_NEAR(value(spec::BalanceLoss::kSwitch, p), n, 1e-12);
  EXPECT_NEAR(value(spec::BalanceLoss::kKl, p), std::log(n), 1e-12);
}

TEST(LMoeBalance, Invariant9Cv2IsTheSecondMomentLessOne) {
  const at::Tensor p = at::softmax(2 * numbers({9, 5}, 3, at::kDouble), /*dim=*/1);
  const double second_moment = 5 * p.mean(0).square().sum().item<double>();
  EXPECT_NEAR(second_moment, 1 + value(spec::BalanceLoss::kCv2, p), 1e-14);
  EXPECT_GT(value(spec::BalanceLoss::kCv2, p), 0.0);
}

TEST(LMoeBalance, AveragesOverGatesAndReportsBeforeTheCoefficient) {
  const TinyModel model(1);
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 4;
  spec.losses = {{spec::BalanceLoss::kCv2, 0.5}, {spec::BalanceLoss::kSwitch, 2.0}};
  const Mixture mixture(spec, model.groups(), 1, at::kDouble);
  at::Tensor collapsed = at::zeros({6, 4}, at::kDouble);
  collapsed.select(1, 2).fill_(1.0);
  nn::RouterLog log = log_of(collapsed);
  log.records.push_back(log_of(at::eye(4, at::kDouble)).records[0]);
  std::map<std::string, double> values;
  const double total = mixture.auxiliary_loss(log, &values).item<double>();
  EXPECT_NEAR(values.at("cv2"), (3.0 + 0.0) / 2, 1e-12);
  EXPECT_NEAR(values.at("switch"), (4.0 + 1.0) / 2, 1e-12);
  EXPECT_NEAR(total, 0.5 * 1.5 + 2.0 * 2.5, 1e-12);
  EXPECT_THROW(mixture.auxiliary_loss(nn::RouterLog{}), Error);
}

}  // namespace
}  // namespace lmoe::test
