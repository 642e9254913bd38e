// Invariants of the card of LLaVA-MoLE.
#include <gtest/gtest.h>

#include "mixture/balance_loss.h"
#include "mixture/site_bank.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 9;

spec::MixtureSpec small_spec(int64_t experts = 3) {
  spec::MixtureSpec spec = spec::find_method("llava-mole").preset();
  spec.experts.count = experts;
  spec.experts.rank = 2;
  spec.experts.dropout = spec.plain.dropout = 0;
  spec.plain.rank = 2;
  return spec;
}

struct Model {
  explicit Model(const spec::MixtureSpec& spec)
      : mixture(spec, base.groups(), /*seed=*/3, at::kDouble) {
    mixture.plug(base.groups());
    randomize(mixture, 5);
  }

  at::Tensor forward(nn::RouterLog* log = nullptr) {
    nn::ForwardContext context;
    context.router_log = log;
    return base.forward(numbers({kTokens, kHidden}, 1, at::kDouble), context);
  }
  at::Tensor gate_weight() const { return mixture.gates().front()->parameters().front().tensor; }

  TinyModel base{1};
  mixture::Mixture mixture;
};

/// Every expert becomes a copy of the first one.
void copy_first_expert(const mixture::Mixture& mixture) {
  const at::NoGradGuard no_grad;
  for (const auto& site : mixture.banks()) {
    for (size_t t = 0; t < site->bank().targets().size(); ++t) {
      const mixture::ExpertFactors first = site->bank().folder_factors(t, 0);
      for (int64_t e = 1; e < site->bank().experts(); ++e) {
        site->bank().folder_factors(t, e).a.copy_(first.a);
        site->bank().folder_factors(t, e).b.copy_(first.b);
      }
    }
  }
}

/// The same mixture with its first expert as plain LoRA everywhere.
at::Tensor forward_as_plain_lora(const Model& model) {
  spec::MixtureSpec spec = model.mixture.spec().plain_part();
  const spec::MixtureSpec given = model.mixture.spec();
  spec.target_modules.insert(spec.target_modules.end(), given.target_modules.begin(),
                             given.target_modules.end());
  const TinyModel base(1);
  mixture::Mixture lora(spec, base.groups(), 3, at::kDouble);
  lora.plug(base.groups());
  const at::NoGradGuard no_grad;
  for (const auto& site : lora.banks()) {
    for (const auto* banks : {&model.mixture.banks(), &model.mixture.plain_banks()}) {
      for (const auto& source : *banks) {
        if (source->group() != site->group()) continue;
        for (size_t t = 0; t < source->bank().targets().size(); ++t) {
          site->bank().folder_factors(t, 0).a.copy_(source->bank().folder_factors(t, 0).a);
          site->bank().folder_factors(t, 0).b.copy_(source->bank().folder_factors(t, 0).b);
        }
      }
    }
  }
  return base.forward(numbers({kTokens, kHidden}, 1, at::kDouble));
}

TEST(LlavaMole, OneExpertPerTokenDecidedOncePerBlock) {
  Model model(small_spec());
  nn::RouterLog log;
  model.forward(&log);
  ASSERT_EQ(log.records.size(), 1U) << "gate, up and down share one decision";
  EXPECT_EQ(log.records[0].site, "layers.0.mlp");
  EXPECT_TRUE(log.records[0].selected.sum(1).eq(1).all().item<bool>());
  EXPECT_TRUE(at::equal(log.records[0].weights, log.records[0].selected.to(at::kDouble)));
}

TEST(LlavaMole, OneExpertOrIdenticalExpertsArePlainLora) {
  Model one(small_spec(1));
  EXPECT_LT(max_difference(one.forward(), forward_as_plain_lora(one)), 1e-12);
  Model three(small_spec());
  copy_first_expert(three.mixture);
  EXPECT_LT(max_difference(three.forward(), forward_as_plain_lora(three)), 1e-12);
}

TEST(LlavaMole, HardChoicePassesNoTaskGradientToTheGate) {
  Model hard(small_spec());
  hard.forward().sum().backward();
  const at::Tensor gradient = hard.gate_weight().grad();
  EXPECT_TRUE(!gradient.defined() || gradient.abs().max().item<double>() == 0.0);

  spec::MixtureSpec scaled_spec = small_spec();
  scaled_spec.normalize = spec::Normalize::kSoftmax;
  Model scaled(scaled_spec);
  scaled.forward().sum().backward();
  EXPECT_GT(scaled.gate_weight().grad().abs().max().item<double>(), 1e-3);
}

TEST(LlavaMole, BalanceLossIsOneAtBalance) {
  nn::RouterLog log;
  // Each expert is the first choice of a third of the tokens, by as little as doubles can tell.
  const at::Tensor p = at::full({3, 3}, 1.0 / 3.0, at::kDouble) + 1e-15 * at::eye(3, at::kDouble);
  log.records.push_back({"layers.0.mlp", 0, p, p, {}});
  EXPECT_NEAR(mixture::balance_loss({spec::BalanceLoss::kSwitch}, log).item<double>(), 1.0, 1e-7);
}

}  // namespace
}  // namespace lmoe::test
