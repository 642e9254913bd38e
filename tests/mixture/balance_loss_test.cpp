// Losses on what routers decide: each against plain loops, its values with equal load and at
// collapse, and the reductions over gates.
#include "mixture/balance_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "mixture/entropy.h"
#include "reference.h"
#include "routing.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using spec::BalanceLoss;
using spec::LossOver;
using spec::LossSpec;

nn::GateRecord record_of(const at::Tensor& logits, int64_t k, int layer = 0) {
  const at::Tensor p = at::softmax(logits, 1);
  const at::Tensor selected =
      at::zeros_like(p, at::kBool).scatter_(1, std::get<1>(p.topk(k, 1)), /*value=*/true);
  return {"gate", layer, p, p * selected, selected, logits};
}

double value(const LossSpec& loss, std::vector<nn::GateRecord> records) {
  nn::RouterLog log;
  log.records = std::move(records);
  return mixture::balance_loss(loss, log).item<double>();
}

/// One gate, by the formulas of the cards, token by token.
double naive(const LossSpec& loss, const nn::GateRecord& record) {
  const auto tokens = static_cast<size_t>(record.probabilities.size(0));
  const auto experts = static_cast<size_t>(record.probabilities.size(1));
  const auto n = static_cast<double>(tokens);
  const auto e = static_cast<double>(experts);
  Vector mean_p(experts), mean_w(experts), first(experts), chosen(experts);
  double entropy = 0, z = 0, slots = 0;
  for (size_t t = 0; t < tokens; ++t) {
    const Vector p = row(record.probabilities, static_cast<int64_t>(t));
    const Vector w = row(record.weights, static_cast<int64_t>(t));
    const Vector s = row(record.selected, static_cast<int64_t>(t));
    double exponentials = 0, powers = 0, shannon = 0;
    for (size_t i = 0; i < experts; ++i) {
      mean_p[i] += p[i] / n;
      mean_w[i] += w[i] / n;
      chosen[i] += s[i] / n;
      slots += s[i] / n;
      exponentials += std::exp(row(record.logits, static_cast<int64_t>(t))[i]);
      powers += std::pow(p[i] + loss.entropy.epsilon, loss.entropy.order);
      shannon -= p[i] * std::log(p[i]);
    }
    first[static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin())] += 1 / n;
    const double q = loss.entropy.order;
    entropy += (q == 1 ? shannon / std::log(e) : (1 - powers) / (1 - std::pow(e, 1 - q))) / n;
    z += std::log(exponentials) * std::log(exponentials) / n;
  }
  const auto dot = [&](const Vector& a, const Vector& b) {
    double sum = 0;
    for (size_t i = 0; i < experts; ++i) sum += a[i] * b[i];
    return sum;
  };
  const auto squared_variation = [&](const Vector& a) {
    const double mean = dot(a, Vector(experts, 1.0)) / e;
    return (dot(a, a) / e - mean * mean) / (mean * mean);
  };
  switch (loss.kind) {
    case BalanceLoss::kCv2:
      return squared_variation(mean_p);
    case BalanceLoss::kSwitch:
      return e * dot(first, mean_p);
    case BalanceLoss::kKl: {
      double sum = 0;
      for (const double p : mean_p) sum += p * std::log(e * p);
      return sum;
    }
    case BalanceLoss::kTopKSwitch:
      return e * dot(chosen, mean_p);
    case BalanceLoss::kTopKShare:
      return e * dot(chosen, mean_p) / slots;
    case BalanceLoss::kSoftSwitch:
      return e * dot(mean_w, mean_p);
    case BalanceLoss::kImportance:
      return squared_variation(mean_w);
    case BalanceLoss::kEntropy:
      return entropy;
    case BalanceLoss::kZ:
      return z;
    default:
      ADD_FAILURE() << enum_name(loss.kind);
  }
  return 0;
}

std::vector<LossSpec> all_losses() {
  std::vector<LossSpec> losses;
  for (const auto& [name, kind] : spec::enum_names(BalanceLoss::kCv2))
    if (!spec::needs_tasks(kind)) losses.push_back({kind});
  losses.push_back({BalanceLoss::kEntropy, 1.0, LossOver::kGatesMean, {1.1, true, 1e-5}});
  return losses;
}

TEST(BalanceLoss, EachEqualsThePlainLoops) {
  const nn::GateRecord gate = record_of(numbers({9, 5}, 1, at::kDouble) * 3, 2);
  for (const LossSpec& loss : all_losses())
    EXPECT_NEAR(value(loss, {gate}), naive(loss, gate), 1e-12) << enum_name(loss.kind);
}

TEST(BalanceLoss, ReductionsOverGates) {
  const nn::GateRecord a = record_of(numbers({6, 4}, 1, at::kDouble) * 2, 2, 0),
                       b = record_of(numbers({6, 4}, 2, at::kDouble) * 2, 2, 0),
                       c = record_of(numbers({6, 4}, 3, at::kDouble) * 2, 2, 1);
  const auto joined = [](const std::vector<nn::GateRecord>& parts) {
    std::vector<at::Tensor> logits;
    for (const nn::GateRecord& part : parts) logits.push_back(part.logits);
    return record_of(at::cat(logits), 2);
  };
  for (LossSpec loss : all_losses()) {
    const auto over = [&](LossOver reduction) {
      loss.over = reduction;
      return value(loss, {a, b, c});
    };
    const double sum = naive(loss, a) + naive(loss, b) + naive(loss, c);
    EXPECT_NEAR(over(LossOver::kGatesSum), sum, 1e-12) << enum_name(loss.kind);
    EXPECT_NEAR(over(LossOver::kGatesMean), sum / 3, 1e-12) << enum_name(loss.kind);
    EXPECT_NEAR(over(LossOver::kPooled), naive(loss, joined({a, b, c})), 1e-12)
        << enum_name(loss.kind);
    EXPECT_NEAR(over(LossOver::kLayersPooledSum), naive(loss, joined({a, b})) + naive(loss, c),
                1e-12)
        << enum_name(loss.kind);
  }
}

TEST(BalanceLoss, LayersMayHaveDifferentNumbersOfExperts) {
  const nn::GateRecord a = record_of(numbers({6, 4}, 1, at::kDouble), 2, 0),
                       b = record_of(numbers({6, 3}, 2, at::kDouble), 2, 1);
  for (LossSpec loss : all_losses()) {
    EXPECT_NEAR(value(loss, {a, b}), (naive(loss, a) + naive(loss, b)) / 2, 1e-12);
    loss.over = LossOver::kLayersPooledSum;
    EXPECT_NEAR(value(loss, {a, b}), naive(loss, a) + naive(loss, b), 1e-12);
  }
}

TEST(BalanceLoss, CollapseOnOneExpert) {
  at::Tensor logits = at::zeros({6, 4}, at::kDouble);
  logits.select(1, 2).fill_(800.0);
  // The second choice of top-2 is some other expert, the same for every token.
  const nn::GateRecord gate = record_of(logits, 2);
  const std::map<BalanceLoss, double> expected = {
      {BalanceLoss::kCv2, 3},          {BalanceLoss::kSwitch, 4},
      {BalanceLoss::kKl, std::log(4)}, {BalanceLoss::kTopKSwitch, 4},
      {BalanceLoss::kTopKShare, 2},    {BalanceLoss::kSoftSwitch, 4},
      {BalanceLoss::kImportance, 3},   {BalanceLoss::kEntropy, 0},
      {BalanceLoss::kZ, 800.0 * 800.0}};
  for (const auto& [kind, at_collapse] : expected)
    EXPECT_NEAR(value({kind}, {gate}), at_collapse, 1e-9) << enum_name(kind);
}

TEST(BalanceLoss, ValuesWithUndecidedGatesAndEqualLoad) {
  const TinyModel model(2);  // 14 gates of 4 experts
  const mixture::Mixture mixture(
      read_section(
          "{experts: {count: 4, rank: 2}, top_k: 2, normalize: softmax, losses: [{kind: cv2},"
          " {kind: switch, over: gates_sum}, {kind: kl}, {kind: topk_switch, over: pooled},"
          " {kind: topk_share, over: layers_pooled_sum}, {kind: soft_switch},"
          " {kind: importance}, {kind: entropy}, {kind: z}]}"),
      model.groups(), 1, at::kDouble);
  const std::map<std::string, double> expected = {
      {"cv2", 0},           {"switch", 14},    {"kl", 0},      {"topk_switch", 2},
      {"topk_share", 2},  // one per layer
      {"soft_switch", 0.5}, {"importance", 0}, {"entropy", 1}, {"z", std::log(4) * std::log(4)}};
  const auto values = mixture.losses_if_uniform();
  ASSERT_EQ(values.size(), expected.size());
  for (const auto& [name, at_balance] : expected)
    EXPECT_NEAR(values.at(name), at_balance, 1e-12) << name;
  EXPECT_TRUE(mixture::Mixture(read_section("{losses: []}"), model.groups(), 1)
                  .losses_if_uniform()
                  .empty());
}

TEST(Entropy, ShannonIsTheLimitOfTsallis) {
  const at::Tensor p = at::softmax(numbers({7, 6}, 4, at::kDouble) * 2, 1);
  const at::Tensor shannon = mixture::entropy(p, {1.0, false, 0.0});
  EXPECT_LT(max_difference(mixture::entropy(p, {1.0 + 1e-7, false, 0.0}), shannon), 1e-6);
  EXPECT_LT(max_difference(mixture::entropy(p, {1.0 - 1e-7, false, 0.0}), shannon), 1e-6);
}

}  // namespace
}  // namespace lmoe::test
