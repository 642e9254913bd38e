// The acceptance invariants of LoRA-Mixer (lora-mixer.md), except the fifth: there is no penalty
// for moving away from given experts, they are frozen instead. Also noise at gates.
#include <gtest/gtest.h>

#include <cmath>

#include "mixture/gate_noise.h"
#include "mixture/site_bank.h"
#include "routing.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 5;

class LoraMixer : public ::testing::Test {
 protected:
  LoraMixer()
      : model_(1),
        mixture_(read_section("{method: lora-mixer, experts: {count: 4, rank: 2}, top_k: 2}"),
                 model_.groups(),
                 3,
                 at::kDouble) {
    randomize(mixture_, 5);
    mixture_.plug(model_.groups());
  }

  nn::ForwardContext context_at(double progress, int64_t task) {
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = kTokens, .task = task}};
    context.is_training = true;
    context.progress = progress;
    mixture_.advance_to(progress);
    return context;
  }

  at::Tensor forward(nn::ForwardContext context, nn::RouterLog* log = nullptr) const {
    context.router_log = log;
    return model_.forward(numbers({kTokens, kHidden}, 1, at::kDouble), context);
  }

  bool any_gradient(bool of_gates) const {
    bool any = false;
    for (const nn::NamedTensor& parameter : mixture_.parameters()) {
      const bool is_gate = parameter.name.find(".gate.") != std::string::npos;
      any |= is_gate == of_gates && parameter.tensor.grad().defined();
    }
    return any;
  }

  TinyModel model_;
  mixture::Mixture mixture_;
};

TEST_F(LoraMixer, Invariant1HardStageTrainsTheExpertOfTheTaskAlone) {
  nn::RouterLog log;
  forward(context_at(0.2, 3), &log).sum().backward();
  for (const nn::GateRecord& record : log.records)
    EXPECT_TRUE(record.weights.select(1, 3).eq(1).all().item<bool>());
  EXPECT_FALSE(any_gradient(/*of_gates=*/true));
  for (const auto& bank : mixture_.banks()) {
    const at::Tensor gradient = bank->bank().b_rows(0).grad().t();
    EXPECT_EQ(gradient.slice(1, 0, 6).abs().max().item<double>(), 0.0);
    EXPECT_GT(gradient.slice(1, 6, 8).abs().max().item<double>(), 0.0);
  }
}

TEST_F(LoraMixer, Invariant1TheHardStageIsThatLora) {
  const at::Tensor y = forward(context_at(0.0, 1));
  const TinyModel single(1);
  mixture::Mixture lora(read_section("{method: lora, experts: {rank: 2, alpha: 4, dropout: 0},"
                                     " target_modules: [q_proj, k_proj, v_proj, o_proj]}"),
                        single.groups(), 3, at::kDouble);
  {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < lora.banks().size(); ++i) {
      const mixture::ExpertBank& own = lora.banks()[i]->bank();
      const mixture::ExpertBank& all = mixture_.banks()[i]->bank();
      for (size_t t = 0; t < own.targets().size(); ++t) {
        own.folder_factors(t, 0).a.copy_(all.folder_factors(t, 1).a);
        own.folder_factors(t, 0).b.copy_(all.folder_factors(t, 1).b);
      }
    }
  }
  lora.plug(single.groups());
  EXPECT_LT(max_difference(y, single.forward(numbers({kTokens, kHidden}, 1, at::kDouble))), 1e-13);
}

TEST_F(LoraMixer, HardStageNeedsTasks) {
  EXPECT_THROW(forward(context_at(0.2, -1)), Error);
  EXPECT_NO_THROW(forward(context_at(0.5, -1)));
}

TEST_F(LoraMixer, Invariant3SoftStageTrainsTheGatesAlone) {
  nn::RouterLog log;
  forward(context_at(0.5, 3), &log).sum().backward();
  EXPECT_TRUE(any_gradient(/*of_gates=*/true));
  EXPECT_FALSE(any_gradient(/*of_gates=*/false));
  EXPECT_LT(max_difference(log.records[0].weights, log.records[0].probabilities), 1e-15);
  forward(context_at(0.1, 3)).sum().backward();
  EXPECT_TRUE(any_gradient(/*of_gates=*/false)) << "a run that begins anew trains experts again";
}

TEST_F(LoraMixer, Invariant6InferenceWithAllExpertsIsTheSoftForward) {
  const at::Tensor logits = numbers({kTokens, 4}, 6, at::kDouble);
  const Routing all =
      route(read_section("{method: lora-mixer, experts: {count: 4}, select: {k: 4}}"), logits);
  EXPECT_LT(max_difference(all.weights, at::softmax(logits, 1)), 1e-15);
  nn::RouterLog log;
  nn::ForwardContext use;
  forward(use, &log);
  EXPECT_TRUE(log.records[0].weights.gt(0).sum(1).eq(2).all().item<bool>());
  EXPECT_LT(max_difference(log.records[0].weights.sum(1), at::ones({kTokens}, at::kDouble)), 1e-14);
}

TEST(LoraMixerLoss, Invariant4SignOfTheEntropyTerm) {
  const auto entropy_change = [](double coef) {
    const TinyModel model(1);
    const mixture::Mixture mixture(
        read_section(concat("{experts: {count: 4, rank: 2}, losses: [{kind: entropy, coef: ", coef,
                            ", entropy: {normalized: false}}]}")),
        model.groups(), 1, at::kDouble);
    at::Tensor z = numbers({1, 4}, 7, at::kDouble).requires_grad_(true);
    const auto entropy = [](const at::Tensor& p) { return -(p * p.log()).sum(); };
    const at::Tensor p = at::softmax(z, 1);
    nn::RouterLog log;
    log.records.push_back({"gate", 0, p, p, {}, z});
    mixture.auxiliary_loss(log).backward();
    const at::Tensor q = p.detach();
    EXPECT_LT(max_difference(z.grad(), -coef * q * (q.log() + entropy(q))), 1e-13);
    const at::Tensor stepped = at::softmax(z.detach() - 0.1 * z.grad(), 1);
    return (entropy(stepped) - entropy(q)).item<double>();
  };
  EXPECT_LT(entropy_change(1.0), 0.0);   // the stated intention: sharper
  EXPECT_GT(entropy_change(-1.0), 0.0);  // as the formula is printed
}

TEST(GateNoise, ActsInTrainingAloneAndFollowsTheGenerator) {
  for (const char* key : {"jitter: 0.3", "noise: 0.5"}) {
    const TinyModel model(1);
    mixture::Mixture mixture(
        read_section(concat("{experts: {count: 3, rank: 2}, gate: {", key, "}}")), model.groups(),
        3, at::kDouble);
    randomize(mixture, 5);
    mixture.plug(model.groups());
    const auto forward = [&](bool is_training, uint64_t seed) {
      Rng rng(seed);
      nn::ForwardContext context;
      context.is_training = is_training;
      context.dropout_rng = &rng;
      return model.forward(numbers({kTokens, kHidden}, 1, at::kDouble), context);
    };
    EXPECT_TRUE(at::equal(forward(false, 1), forward(false, 2))) << key;
    EXPECT_TRUE(at::equal(forward(true, 1), forward(true, 1))) << key;
    EXPECT_FALSE(at::equal(forward(true, 1), forward(true, 2))) << key;
    EXPECT_FALSE(at::equal(forward(true, 1), forward(false, 1))) << key;
    nn::ForwardContext without;
    without.is_training = true;
    EXPECT_THROW(model.forward(numbers({kTokens, kHidden}, 1, at::kDouble), without), Error);
  }
}

TEST(GateNoise, HasTheSpreadAskedFor) {
  Rng rng(1);
  const at::Tensor x = at::full({200, 100}, 2.0, at::kDouble);
  const at::Tensor jittered = mixture::jitter(x, 0.1, rng) / x;
  EXPECT_NEAR(jittered.mean().item<double>(), 1.0, 0.002);
  EXPECT_GE(jittered.min().item<double>(), 0.9);
  EXPECT_LE(jittered.max().item<double>(), 1.1);
  EXPECT_NEAR(jittered.std().item<double>(), 0.1 / std::sqrt(3), 0.001);
  const at::Tensor noise = mixture::add_normal_noise(x, 0.5, rng) - x;
  EXPECT_NEAR(noise.mean().item<double>(), 0.0, 0.015);
  EXPECT_NEAR(noise.std().item<double>(), 0.5, 0.01);
}

}  // namespace
}  // namespace lmoe::test
