// Invariants of the card of MixLoRA and its variants.
#include <gtest/gtest.h>

#include "mixture/balance_loss.h"
#include "mixture/capacity.h"
#include "mixture/ffn_experts.h"
#include "mixture/site_bank.h"
#include "nn/kv_cache.h"
#include "reference_ffn.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

spec::MixtureSpec small_spec(const std::string& method, int64_t experts = 4) {
  spec::MixtureSpec spec = spec::find_method(method).preset();
  spec.experts.count = experts;
  spec.experts.rank = 2;
  spec.experts.alpha = 2;
  spec.experts.dropout = 0;
  if (spec.select.k) spec.select.k = std::min(*spec.select.k, experts);
  spec.plain = {};
  return spec;
}

struct Block {
  explicit Block(const spec::MixtureSpec& spec) : mixture(spec, model.sockets(), 3, at::kDouble) {
    mixture.plug(model.sockets());
    randomize(mixture, 5);
  }

  const nn::GatedMlp& mlp() const { return *model.sockets().mlps[0]; }
  const mixture::FfnExperts& experts() const { return *mixture.ffn_experts()[0]; }
  at::Tensor forward(const at::Tensor& x, nn::ForwardContext context = {}) const {
    return mlp().forward(x, context);
  }
  at::Tensor frozen(const at::Tensor& x) const {
    nn::ForwardContext context;
    return mlp().forward_alone(x, context);
  }
  /// What the chosen experts' probabilities sum to. [N, 1]
  at::Tensor kept(const at::Tensor& x) const {
    nn::ForwardContext context;
    return experts().gate()->weights(x, context).select(1, 0).sum(1, /*keepdim=*/true);
  }
  void for_each_factor(const std::function<void(const mixture::ExpertBank&, size_t, int64_t)>& f) {
    const at::NoGradGuard no_grad;
    for (const mixture::ExpertBank* bank : experts().banks())
      for (size_t t = 0; t < bank->targets().size(); ++t)
        for (int64_t e = 0; e < bank->experts(); ++e) f(*bank, t, e);
  }

  TinyModel model{1};
  mixture::Mixture mixture;
};

at::Tensor tokens(int64_t count = 9) { return numbers({count, kHidden}, 1, at::kDouble); }

void zero_b(const mixture::ExpertBank& bank, size_t t, int64_t e) {
  bank.folder_factors(t, e).b.zero_();
}
void copy_first(const mixture::ExpertBank& bank, size_t t, int64_t e) {
  if (e == 0) return;
  bank.folder_factors(t, e).a.copy_(bank.folder_factors(t, 0).a);
  bank.folder_factors(t, e).b.copy_(bank.folder_factors(t, 0).b);
}

TEST(MixLora, WithoutDeltasTheBlockIsTheFrozenOneTimesTheWeightsThatAreKept) {
  Block top2(small_spec("mixlora"));
  top2.for_each_factor(zero_b);
  EXPECT_LT(max_difference(top2.forward(tokens()), top2.frozen(tokens())), 1e-13);
  for (const char* method : {"mixlora-dynamic", "mixlora-switch"}) {
    Block block(small_spec(method));
    block.for_each_factor(zero_b);
    EXPECT_LT(
        max_difference(block.forward(tokens()), block.kept(tokens()) * block.frozen(tokens())),
        1e-13);
    EXPECT_LT(block.kept(tokens()).min().item<double>(), 1.0);
  }
}

TEST(MixLora, IdenticalExpertsAreOneLoraOnTheFfn) {
  for (const char* method : {"mixlora", "mixlora-dynamic", "mixlora-switch"}) {
    Block block(small_spec(method));
    block.for_each_factor(copy_first);
    std::vector<at::Tensor> rows;
    for (int64_t t = 0; t < 9; ++t)
      rows.push_back(
          at::tensor(naive_expert(block.experts(), block.mlp(), 0, row(tokens(), t)), at::kDouble));
    EXPECT_LT(max_difference(block.forward(tokens()), block.kept(tokens()) * at::stack(rows)),
              1e-12)
        << method;
  }
}

TEST(MixLora, OneExpertIsPlainLoraOnTheFfn) {
  const Block block(small_spec("mixlora", 1));
  spec::MixtureSpec plain = spec::find_method("lora").preset();
  plain.target_modules = {"gate_proj", "up_proj", "down_proj"};
  plain.experts.rank = 2;
  plain.experts.alpha = 2;
  const TinyModel model(1);
  mixture::Mixture lora(plain, model.sockets(), 3, at::kDouble);
  lora.plug(model.sockets());
  const at::NoGradGuard no_grad;
  for (size_t b = 0; b < 2; ++b) {
    for (size_t t = 0; t < lora.banks()[b]->bank().targets().size(); ++t) {
      const auto to = lora.banks()[b]->bank().folder_factors(t, 0);
      const auto from = block.experts().banks()[b]->folder_factors(t, 0);
      to.a.copy_(from.a);
      to.b.copy_(from.b);
    }
  }
  nn::ForwardContext context;
  EXPECT_LT(
      max_difference(block.forward(tokens()), model.sockets().mlps[0]->forward(tokens(), context)),
      1e-12);
}

TEST(MixLora, OnTheDownProjectionAloneItMixesLorasBehindOneActivation) {
  spec::MixtureSpec spec = small_spec("mixlora");
  spec.target_modules = {"down_proj"};
  const Block block(spec);
  const at::Tensor x = tokens();
  const auto &gate = block.mlp().gate_up().linears()[0], &up = block.mlp().gate_up().linears()[1];
  const auto& down = block.mlp().down().linears()[0];
  const at::Tensor a = at::silu(at::linear(x, gate.weight.expand(), gate.bias)) *
                       at::linear(x, up.weight.expand(), up.bias);
  nn::ForwardContext context;
  const at::Tensor w = block.experts().gate()->weights(x, context).select(1, 0);
  at::Tensor expected = at::linear(a, down.weight.expand(), down.bias);
  const mixture::ExpertBank& bank = *block.experts().banks()[0];
  for (int64_t e = 0; e < 4; ++e) {
    const mixture::ExpertFactors f = bank.folder_factors(0, e);
    expected = expected +
               bank.scaling() * w.select(1, e).unsqueeze(1) * at::linear(at::linear(a, f.a), f.b);
  }
  EXPECT_LT(max_difference(block.forward(x), expected), 1e-12);
}

TEST(MixLoraDynamic, KeepsExpertsUpToAndIncludingTheOneThatPassesTopP) {
  // formats.md D4: probabilities 0.5, 0.3, 0.15, 0.05 with top_p 0.75 keep the first two as they
  // are.
  spec::MixtureSpec spec = small_spec("mixlora-dynamic");
  spec.select.top_p = 0.75;
  const Block block(spec);
  const at::NoGradGuard no_grad;
  at::Tensor weight = block.experts().gate()->parameters()[0].tensor;
  weight.zero_();
  weight.select(1, 0).copy_(at::tensor({0.5, 0.3, 0.15, 0.05}, at::kDouble).log());
  at::Tensor x = at::zeros({1, kHidden}, at::kDouble);
  x[0][0] = 1;
  nn::ForwardContext context;
  const at::Tensor w = block.experts().gate()->weights(x, context)[0][0];
  EXPECT_LT(max_difference(w, at::tensor({0.5, 0.3, 0., 0.}, at::kDouble)), 1e-14);
}

TEST(MixLora, TheBalanceLossIsKAtBalanceAndTheNumberOfExpertsAtCollapse) {
  const Block block(small_spec("mixlora"));
  const spec::LossSpec loss = block.mixture.spec().losses.at(0);
  const auto value = [&](const at::Tensor& p, const at::Tensor& selected) {
    nn::RouterLog log;
    log.records.push_back({"layers.0.mlp", 0, p, p * selected, selected});
    return mixture::balance_loss(loss, log).item<double>();
  };
  // Tokens 0 to 3 choose experts t and t + 1 of four: every expert twice.
  const at::Tensor eye = at::eye(4, at::kBool);
  const at::Tensor two_each = eye.logical_or(eye.roll(1, 1));
  EXPECT_NEAR(value(at::full({4, 4}, 0.25, at::kDouble), two_each), 2.0, 1e-6);
  const at::Tensor one = at::one_hot(at::zeros({4}, at::kLong), 4);
  EXPECT_NEAR(value(one.to(at::kDouble), one.to(at::kBool)), 4.0, 1e-6);
}

TEST(MixLoraSwitch, TokensOverCapacityPassThroughTimesTheirProbability) {
  spec::MixtureSpec spec = small_spec("mixlora-switch", 2);
  spec.select.capacity = 2;
  const Block block(spec);
  const at::Tensor x = tokens(12);
  nn::ForwardContext context;
  context.segments = {{.start = 0, .length = 7}, {.start = 7, .length = 5}};
  const at::Tensor y = block.forward(x, context);

  nn::ForwardContext open;
  const at::Tensor all = [&] {
    spec::MixtureSpec without = spec;
    without.select.capacity.reset();
    return Block(without).experts().gate()->weights(x, open).select(1, 0);
  }();
  int64_t passed = 0;
  for (const nn::Segment& document : context.segments) {
    std::vector<int64_t> taken(2, 0);
    for (int64_t t = document.start; t < document.start + document.length; ++t) {
      const auto e = all[t].argmax().item<int64_t>();
      const double p = all[t][e].item<double>();
      const bool fits = ++taken[static_cast<size_t>(e)] <= 2;
      passed += fits ? 0 : 1;
      const Vector token = row(x, t);
      const Vector out = fits ? naive_expert(block.experts(), block.mlp(), e, token) : token;
      EXPECT_LT(max_difference(y[t], p * at::tensor(out, at::kDouble)), 1e-12) << t;
    }
  }
  EXPECT_GE(passed, 12 - 2 * 2 * 2);
}

TEST(MixLoraSwitch, TheRouterLogShowsWhatWasDropped) {
  spec::MixtureSpec spec = small_spec("mixlora-switch", 1);
  spec.select.capacity = 2;
  const Block block(spec);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  block.forward(tokens(5), context);
  const at::Tensor acted = log.records.at(0).weights.select(1, 0);
  EXPECT_TRUE(at::equal(acted, at::tensor({1., 1., 0., 0., 0.}, at::kDouble)));
  EXPECT_TRUE(log.records[0].selected.all().item<bool>()) << "the choice itself is kept";
}

TEST(MixLoraSwitch, CapacityGoesOnCountingFromTheTokensInTheCache) {
  const at::Tensor chosen = at::tensor({1, 0, 1, 0, 0, 1, 1, 0, 1, 0}, at::kInt).view({5, 2}) > 0;
  nn::ForwardContext at_once;
  const at::Tensor expected = mixture::over_capacity(chosen, 2, nullptr, at_once);
  nn::KvCache cache(1, 1, 1, at::kFloat);
  cache.open_slot();
  const int64_t slot = cache.open_slot();
  std::vector<at::Tensor> rows;
  for (int64_t t = 0; t < 5; ++t) {
    nn::ForwardContext context;
    context.kv_cache = &cache;
    context.segments = {{.start = 0, .length = 1, .past = t, .slot = slot}};
    cache.reserve(t + 1);
    rows.push_back(mixture::over_capacity(chosen.narrow(0, t, 1), 2, nullptr, context));
    cache.advance(slot, 1);
  }
  EXPECT_EQ(expected.sum().item<int64_t>(), 2);
  EXPECT_TRUE(at::equal(at::cat(rows), expected));
}

TEST(MixLoraSwitch, JitterMovesTheGateInTrainingOnly) {
  const Block block(small_spec("mixlora-switch"));
  Rng rng(1);
  nn::ForwardContext training, use;
  training.is_training = true;
  training.dropout_rng = &rng;
  const mixture::Gate& gate = *block.experts().gate();
  const at::Tensor still = gate.weights(tokens(), use), moved = gate.weights(tokens(), training);
  EXPECT_TRUE(at::equal(still, gate.weights(tokens(), use)));
  EXPECT_GT(max_difference(still, moved), 1e-6);
  EXPECT_LT(max_difference(still.sum(2), moved.sum(2)), 0.05) << "within 1 percent of each input";
}

}  // namespace
}  // namespace lmoe::test
