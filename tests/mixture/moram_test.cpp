// The acceptance invariants of MoRAM (moram.md). Its naive reference, gradients and files are in
// the conformance suite.
#include <gtest/gtest.h>

#include <cmath>

#include "mixture/gate.h"
#include "routing.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

/// Weights [R] of the raw activations p of R units of one token.
at::Tensor weights_of(const std::vector<double>& p,
                      const std::string& keys,
                      bool is_training,
                      nn::GateRecord* record = nullptr) {
  const auto units = static_cast<int64_t>(p.size());
  const spec::MixtureSpec spec =
      read_section(concat("{method: moram, experts: {count: ", units, "}, ", keys, "}"));
  Rng rng(1);
  const mixture::Gate gate(spec, {{"site", 0}}, units, units, at::kDouble, rng);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.is_training = is_training;
  context.router_log = &log;
  at::Tensor weights =
      gate.weights(at::tensor(p, at::kDouble).view({1, 1, units}), context).view({units});
  if (record != nullptr) *record = log.records[0];
  return weights;
}

const std::vector<double> kActivations = {0.7, -1.2, 0.3, 2.0, 1.1, -0.4};
constexpr const char* kTop3 = "select: {k: 3}, gate: {temperature: 0.5}";

TEST(Moram, Invariant1ActivationsHaveUnitNorm) {
  nn::GateRecord record;
  weights_of(kActivations, kTop3, true, &record);
  EXPECT_NEAR((record.logits * 0.5).square().sum().item<double>(), 1.0, 1e-14);
  weights_of({0, 0, 0, 0}, kTop3, true, &record);
  EXPECT_TRUE(at::isfinite(record.weights).all().item<bool>());
}

TEST(Moram, Invariant2AtMostKUnitsWhoseWeightsSumToOneInTraining) {
  const at::Tensor training = weights_of(kActivations, kTop3, true);
  EXPECT_EQ(training.gt(0).sum().item<int64_t>(), 3);
  EXPECT_NEAR(training.sum().item<double>(), 1.0, 1e-14);
  const at::Tensor inference =
      weights_of(kActivations, "select: {k: 3, inference_threshold: 0.3}", false);
  EXPECT_LT(inference.sum().item<double>(), 1.0);
  EXPECT_EQ(inference.gt(0).sum().item<int64_t>(), 2);
}

TEST(Moram, Invariant3WithoutAThresholdInferenceIsTraining) {
  const std::vector<double> p = {2, 1, -1, -2};
  const auto weights = [&](const char* threshold, bool is_training) {
    return weights_of(
        p, concat("gate: {temperature: 0.5}, select: {k: 4, inference_threshold: ", threshold, "}"),
        is_training);
  };
  EXPECT_TRUE(at::equal(weights("null", false), weights("0.2", true)));
  EXPECT_TRUE(at::equal(weights("-2", false), weights("0.2", true)));
  // 0 removes the negative units that the signed choice kept.
  EXPECT_EQ(weights("0", false).gt(0).sum().item<int64_t>(), 2);
  EXPECT_EQ(weights("0", true).gt(0).sum().item<int64_t>(), 4);
}

TEST(Moram, Invariant4NewUnitsCompeteEvenWithoutValues) {
  const at::Tensor before =
      weights_of({0.7, 0.3, 2.0}, "select: {k: 2}, gate: {temperature: 0.5}", true);
  const auto after = [&](double new_activation) {
    return weights_of({0.7, 0.3, 2.0, new_activation}, "select: {k: 2}, gate: {temperature: 0.5}",
                      true)
        .slice(0, 0, 3);
  };
  EXPECT_GT(max_difference(after(0.5), before), 1e-6);  // another norm, another temperature
  EXPECT_GT(max_difference(after(1.5), before), 0.01);  // and another choice
  EXPECT_TRUE(at::equal(after(0.0), before));
}

TEST(Moram, Invariant5ScalingTheInputLeavesTheWeights) {
  std::vector<double> scaled = kActivations;
  for (double& p : scaled) p *= 7.0;
  EXPECT_LT(max_difference(weights_of(scaled, kTop3, true), weights_of(kActivations, kTop3, true)),
            1e-14);
}

TEST(Moram, Invariant6Golden) {
  const auto weights = [](const char* threshold) {
    return weights_of(
        {3, 4, 0},
        concat("gate: {temperature: 0.1}, select: {k: 2, inference_threshold: ", threshold, "}"),
        false);
  };
  EXPECT_LT(max_difference(weights("null"), at::tensor({0.11920, 0.88080, 0.0}, at::kDouble)),
            5e-6);
  const at::Tensor cut = weights("0.7");
  EXPECT_LT(max_difference(cut, at::tensor({0.0, 0.88080, 0.0}, at::kDouble)), 5e-6);
  EXPECT_NEAR(cut[1].item<double>() * 4, 3.52319, 5e-6);
}

}  // namespace
}  // namespace lmoe::test
