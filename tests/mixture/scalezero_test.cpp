// Experts that learn one after another: arXiv 2509.07945.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/normalize.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 6;
constexpr const char* kScaleZero = "{method: scalezero, experts: {count: 3, rank: 2}}";
constexpr const char* kStagedLinear =
    "{experts: {count: 3, rank: 2}, losses: [], schedule: {staged: true}}";

class ScaleZero : public ::testing::Test {
 protected:
  ScaleZero() : model_(2), input_(numbers({kTokens, kHidden}, 1, at::kDouble)) {}

  at::Tensor forward(Mixture& mixture, nn::ForwardContext context = {}) const {
    const at::NoGradGuard no_grad;
    mixture.plug(model_.sockets());
    at::Tensor out = model_.forward(input_, context);
    mixture.unplug(model_.sockets());
    return out;
  }

  /// As if the first `experts` had learned.
  static void teach(const Mixture& mixture, int64_t experts) {
    const at::NoGradGuard no_grad;
    uint64_t seed = 7;
    for (const mixture::ExpertBank* bank : mixture.expert_banks())
      for (size_t t = 0; t < bank->targets().size(); ++t)
        for (int64_t e = 0; e < experts; ++e) {
          const at::Tensor b = bank->folder_factors(t, e).b;
          b.copy_(numbers(b.sizes().vec(), ++seed, at::kDouble));
        }
    for (const auto& gate : mixture.gates()) {
      at::Tensor rows = gate->tensors()[0].tensor;
      rows = rows.view({static_cast<int64_t>(gate->sites().size()), 3, -1}).narrow(1, 0, experts);
      rows.copy_(numbers(rows.sizes().vec(), ++seed, at::kDouble));
    }
  }

  TinyModel model_;
  at::Tensor input_;
};

TEST_F(ScaleZero, ANewStageLeavesTheFunctionAsItIsAtThatInstant) {
  Mixture mixture(read_section(kScaleZero), model_.sockets(), 3, at::kDouble);
  EXPECT_TRUE(mixture.advance_to(0.0));
  for (int64_t stage = 0; stage < 2; ++stage) {
    teach(mixture, stage + 1);
    const at::Tensor before = forward(mixture);
    EXPECT_FALSE(mixture.advance_to((static_cast<double>(stage) + 0.9) / 3));
    EXPECT_TRUE(mixture.advance_to((static_cast<double>(stage) + 1) / 3));
    EXPECT_TRUE(at::equal(forward(mixture), before)) << stage;
    EXPECT_GT(max_difference(before, model_.forward(input_)), 1e-2);
  }
}

TEST_F(ScaleZero, WeightsStayWithinTheirBounds) {
  mixture::Scores scores;
  scores.logits = at::tensor({-1e3, -7.0, -0.5, 0.0, 0.5, 7.0, 1e3}, at::kDouble);
  const at::Tensor weights = routing_weights(scores, {}, spec::Normalize::kBounded);
  EXPECT_EQ(weights[3].item<double>(), 1.0);
  EXPECT_NEAR(weights[4].item<double>(), 1.0924234314520, 1e-12);  // 1 + 0.2 tanh(0.5)
  const at::Tensor inner = weights.narrow(0, 1, 5);
  EXPECT_GT(inner.min().item<double>(), 0.8);
  EXPECT_LT(inner.max().item<double>(), 1.2);
  EXPECT_GE(weights.min().item<double>(), 0.8);  // where tanh rounds to 1
  EXPECT_LE(weights.max().item<double>(), 1.2);
}

TEST_F(ScaleZero, LaterExpertsTakeNoPart) {
  for (const char* section : {kScaleZero, kStagedLinear}) {
    Mixture mixture(read_section(section), model_.sockets(), 3, at::kDouble);
    randomize(mixture, 5);
    mixture.advance_to(0.4);
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    forward(mixture, context);
    for (const nn::GateRecord& record : log.records) {
      EXPECT_EQ(record.weights.select(1, 2).abs().max().item<double>(), 0.0);
      EXPECT_EQ(record.probabilities.select(1, 2).abs().max().item<double>(), 0.0);
      EXPECT_GT(record.weights.select(1, 1).min().item<double>(), 0.0);
      EXPECT_LT(max_difference(record.probabilities.sum(1), at::ones({kTokens}, at::kDouble)),
                1e-14);
    }
    nn::ForwardContext without;
    without.disabled_expert = 2;
    const at::Tensor now = forward(mixture);
    EXPECT_TRUE(at::equal(forward(mixture, without), now));
    mixture.advance_to(0.9);
    EXPECT_LT(max_difference(forward(mixture, without), now), 1e-14);
    EXPECT_GT(max_difference(forward(mixture), now), 1e-3);
  }
}

TEST_F(ScaleZero, ExactlyTheStageAndTheNumbersBeforeItLearn) {
  Mixture mixture(read_section(kScaleZero), model_.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.advance_to(0.4);
  mixture.plug(model_.sockets());
  model_.forward(input_).square().sum().backward();
  at::NoGradGuard no_grad;
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    at::Tensor learns = parameter.tensor.grad();
    ASSERT_TRUE(learns.defined()) << parameter.name;
    learns.ne_(0);
  }
  for (const mixture::PartOfParameter& part : mixture.frozen_parts()) {
    const at::Tensor gradient = part.parameter.grad();
    gradient
        .as_strided(part.view.sizes(), part.view.strides(),
                    part.view.storage_offset() - part.parameter.storage_offset())
        .zero_();
  }
  for (const mixture::ExpertBank* bank : mixture.expert_banks()) {
    const at::Tensor a = bank->a().grad().view({-1, 3, 2, bank->in()});
    EXPECT_EQ(a.select(1, 0).sum().item<double>() + a.select(1, 2).sum().item<double>(), 0.0);
    EXPECT_EQ(a.select(1, 1).min().item<double>(), 1.0);
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const at::Tensor b = bank->b_rows(t).grad().t().view({-1, 3, 2});
      EXPECT_EQ(b.select(1, 0).sum().item<double>() + b.select(1, 2).sum().item<double>(), 0.0);
      EXPECT_EQ(b.select(1, 1).min().item<double>(), 1.0);
    }
  }
  for (const auto& gate : mixture.gates()) {
    const at::Tensor numbers = gate->tensors()[0].tensor.grad().view({-1, 3});
    EXPECT_EQ(numbers.select(1, 0).min().item<double>(), 1.0);
    EXPECT_EQ(numbers.narrow(1, 1, 2).sum().item<double>(), 0.0);
  }
}

TEST_F(ScaleZero, TheStageIsSavedWithTheMixture) {
  Mixture mixture(read_section(kStagedLinear), model_.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.advance_to(0.4);
  const TempFolder folder;
  mixture.save(folder.path(), "tiny");
  const auto loaded = Mixture::load(folder.path(), model_.sockets());
  EXPECT_TRUE(at::equal(forward(*loaded), forward(mixture)));
  EXPECT_FALSE(loaded->advance_to(0.4));
  EXPECT_TRUE(loaded->advance_to(0.9));
}

TEST_F(ScaleZero, StagesAreEqualSharesUnlessSaidOtherwise) {
  spec::ScheduleSpec schedule;
  for (int64_t step = 0; step < 30; ++step)
    EXPECT_EQ(schedule.stage_at(static_cast<double>(step) / 30, 3), step / 10);
  EXPECT_EQ(schedule.stage_at(1.0, 3), 2);
  schedule.stage_starts = {0, 0.5, 0.9};
  for (const auto& [progress, stage] :
       std::vector<std::pair<double, int64_t>>{{0, 0}, {0.49, 0}, {0.5, 1}, {0.89, 1}, {0.9, 2}})
    EXPECT_EQ(schedule.stage_at(progress, 3), stage) << progress;
}

TEST_F(ScaleZero, WhatCannotBeStagedIsRefusedWithTheReason) {
  const std::string staged = "schedule: {staged: true}";
  EXPECT_THAT(refusal_of("{" + staged + "}"), HasSubstr("losses: []"));
  EXPECT_THAT(refusal_of("{losses: [], gate: {net: mlp}, " + staged + "}"), HasSubstr("gate.net"));
  EXPECT_THAT(refusal_of("{losses: [], experts: {use_dora: true}, " + staged + "}"),
              HasSubstr("use_dora"));
  EXPECT_THAT(refusal_of("{losses: [], experts: {frozen: [expert0]}, " + staged + "}"),
              HasSubstr("experts.frozen"));
  EXPECT_THAT(refusal_of("{losses: [], schedule: {staged: true, freeze_experts: true}}"),
              HasSubstr("freeze_experts false"));
  EXPECT_THAT(refusal_of("{schedule: {stage_starts: [0, 0.5]}}"), HasSubstr("staged false"));
  const std::string two = "{losses: [], experts: {count: 2}, schedule: {staged: true, ";
  EXPECT_THAT(refusal_of(two + "stage_starts: [0]}}"), HasSubstr("given 1 stages"));
  EXPECT_THAT(refusal_of(two + "stage_starts: [0.1, 0.5]}}"), HasSubstr("from 0 on"));
  EXPECT_THAT(refusal_of(two + "stage_starts: [0, 0]}}"), HasSubstr("rising"));
  EXPECT_EQ(refusal_of(two + "stage_starts: [0, 0.3]}}"), "accepted");
}

}  // namespace
}  // namespace lmoe::test
