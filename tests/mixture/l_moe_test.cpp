// The acceptance invariants of L-MoE (the ninth is in l_moe_balance_test.cpp), in both readings
// (average of deltas, average of factors), with a gate per projection and per block, linear and
// MLP.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "mixture/site_bank.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;

constexpr int64_t kExperts = 3, kRank = 2, kTokens = 5;
constexpr double kRounding = 1e-12;

struct Reading {
  spec::Apply apply;
  spec::GateShare share;
  spec::GateNet net;
};

spec::MixtureSpec spec_of(const Reading& reading) {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = kExperts;
  spec.experts.rank = kRank;
  spec.apply = reading.apply;
  spec.gate.share = reading.share;
  spec.gate.net = reading.net;
  if (reading.net == spec::GateNet::kMlp) spec.gate.hidden_size = 8;
  if (reading.share == spec::GateShare::kBlock) spec.gate.source = spec::GateSource::kBlockInput;
  return spec;
}

void copy_parameters(const Mixture& from, const Mixture& to) {
  const at::NoGradGuard no_grad;
  const auto source = from.parameters(), target = to.parameters();
  ASSERT_EQ(source.size(), target.size());
  for (size_t i = 0; i < source.size(); ++i) {
    at::Tensor tensor = target[i].tensor;
    tensor.copy_(source[i].tensor);
  }
}

/// One group with its mixture; the first feature of every input is 1, so that a gate's logits can
/// be set by its weights.
class LMoe : public ::testing::TestWithParam<Reading> {
 protected:
  LMoe() : model_(1), spec_(spec_of(GetParam())), mixture_(spec_, model_.groups(), 3, at::kDouble) {
    randomize(mixture_, 7);
    mixture_.plug(model_.groups());
  }

  static at::Tensor input(int64_t width, uint64_t seed) {
    at::Tensor x = numbers({kTokens, width}, seed, at::kDouble);
    x.select(1, 0).fill_(1.0);
    return x;
  }

  /// Outputs of every projection of the model, each group fed with its own fixed input.
  std::vector<at::Tensor> outputs(const TinyModel& model, nn::RouterLog* log = nullptr) const {
    nn::ForwardContext context;
    context.router_log = log;
    std::vector<at::Tensor> all;
    for (size_t g = 0; g < model.groups().size(); ++g) {
      const int64_t in = model.groups()[g]->linears().front().weight.columns();
      const nn::SocketInput socket = {input(in, 60 + g), input(kHidden, 80 + g / 2)};
      for (const at::Tensor& output : model.groups()[g]->forward(socket, context))
        all.push_back(output);
    }
    return all;
  }

  static void expect_same(const std::vector<at::Tensor>& a,
                          const std::vector<at::Tensor>& b,
                          double tolerance = kRounding) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(max_difference(a[i], b[i]), tolerance) << i;
  }

  /// Makes every gate answer `logits`, whatever the token.
  void force_logits(const std::vector<double>& logits) {
    const at::NoGradGuard no_grad;
    for (const auto& gate : mixture_.gates()) {
      const auto tensors = gate->tensors();
      const auto stacked = static_cast<int64_t>(gate->sites().size());
      double feature = 1.0;
      if (spec_.gate.net == spec::GateNet::kMlp) {
        at::Tensor hidden = tensors[0].tensor;
        hidden.zero_();
        hidden.select(1, 0).fill_(2.0);
        feature = 2.0 / (1.0 + std::exp(-2.0)) * static_cast<double>(spec_.gate.hidden_size);
      }
      at::Tensor last = tensors.back().tensor;
      last.zero_();
      for (int64_t g = 0; g < stacked; ++g) {
        for (int64_t e = 0; e < kExperts; ++e) {
          const double value = logits[static_cast<size_t>(e)] / feature;
          if (spec_.gate.net == spec::GateNet::kMlp)
            last[g * kExperts + e].fill_(value);
          else
            last[g * kExperts + e][0] = value;
        }
      }
    }
  }

  /// A plain LoRA of rank `rank` and scaling `scaling` whose factors `factors(bank, target)` gives.
  template <class Factors>
  std::vector<at::Tensor> lora_outputs(int64_t rank, double scaling, Factors&& factors) const {
    const TinyModel model(1);
    spec::MixtureSpec spec = spec::find_method("lora").preset();
    spec.experts.rank = rank;
    spec.experts.alpha = scaling * static_cast<double>(rank);
    Mixture lora(spec, model.groups(), 1, at::kDouble);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < lora.banks().size(); ++i) {
      const mixture::ExpertBank& bank = mixture_.banks()[i]->bank();
      for (size_t t = 0; t < bank.targets().size(); ++t) {
        const mixture::ExpertFactors given = factors(bank, t);
        mixture::ExpertFactors own = lora.banks()[i]->bank().folder_factors(t, 0);
        own.a.copy_(given.a);
        own.b.copy_(given.b);
      }
    }
    lora.plug(model.groups());
    return outputs(model);
  }

  void set_all_experts_to_the_first(bool a, bool b) {
    const at::NoGradGuard no_grad;
    for (const auto& bank : mixture_.banks()) {
      for (size_t t = 0; t < bank->bank().targets().size(); ++t) {
        const mixture::ExpertFactors first = bank->bank().folder_factors(t, 0);
        for (int64_t e = 1; e < kExperts; ++e) {
          mixture::ExpertFactors other = bank->bank().folder_factors(t, e);
          if (a) other.a.copy_(first.a);
          if (b) other.b.copy_(first.b);
        }
      }
    }
  }

  /// The same parameters in the other reading.
  std::vector<at::Tensor> other_reading_outputs() const {
    Reading other = GetParam();
    other.apply =
        other.apply == spec::Apply::kDeltas ? spec::Apply::kFactors : spec::Apply::kDeltas;
    const TinyModel model(1);
    Mixture mixture(spec_of(other), model.groups(), 3, at::kDouble);
    copy_parameters(mixture_, mixture);
    mixture.plug(model.groups());
    return outputs(model);
  }

  TinyModel model_;
  spec::MixtureSpec spec_;
  Mixture mixture_;
};

TEST_P(LMoe, Invariant1AtZeroBTheBaseIsUnchangedAndOnlyBMoves) {
  {
    const at::NoGradGuard no_grad;
    for (const auto& bank : mixture_.banks())
      for (size_t t = 0; t < bank->bank().targets().size(); ++t)
        at::Tensor(bank->bank().b(t)).zero_();
  }
  const TinyModel base(1);
  const auto adapted = outputs(model_);
  const auto plain = outputs(base);
  at::Tensor loss;
  for (size_t i = 0; i < adapted.size(); ++i) {
    EXPECT_TRUE(at::equal(adapted[i], plain[i])) << i;
    const at::Tensor part = (adapted[i] * numbers(adapted[i].sizes().vec(), i, at::kDouble)).sum();
    loss = loss.defined() ? loss + part : part;
  }
  loss.backward();
  for (const nn::NamedTensor& parameter : mixture_.parameters()) {
    const bool is_b = parameter.name.ends_with("lora_B");
    EXPECT_EQ(parameter.tensor.grad().abs().max().item<double>() != 0.0, is_b) << parameter.name;
  }
}

TEST_P(LMoe, Invariant2IdenticalExpertsAreOneLora) {
  set_all_experts_to_the_first(/*a=*/true, /*b=*/true);
  const auto lora = lora_outputs(
      kRank, spec_.scaling(), [](const auto& bank, size_t t) { return bank.folder_factors(t, 0); });
  expect_same(outputs(model_), lora);
}

TEST_P(LMoe, Invariant3AOneHotGateIsThatExpertInBothReadings) {
  for (int64_t chosen = 0; chosen < kExperts; ++chosen) {
    std::vector<double> logits(kExperts, 0.0);
    logits[static_cast<size_t>(chosen)] = 1e4;
    force_logits(logits);
    const auto lora = lora_outputs(kRank, spec_.scaling(), [&](const auto& bank, size_t t) {
      return bank.folder_factors(t, chosen);
    });
    expect_same(outputs(model_), lora);
    expect_same(other_reading_outputs(), lora);
  }
}

TEST_P(LMoe, Invariant4ReadingsDifferByTheCovarianceOfTheFactors) {
  nn::RouterLog log;
  const auto own = outputs(model_, &log);
  const auto other = other_reading_outputs();
  const double sign = spec_.apply == spec::Apply::kDeltas ? 1.0 : -1.0;
  size_t output = 0, site = 0;
  for (size_t g = 0; g < mixture_.banks().size(); ++g) {
    const mixture::ExpertBank& bank = mixture_.banks()[g]->bank();
    const at::Tensor x = input(bank.in(), 60 + g);
    for (size_t t = 0; t < bank.targets().size(); ++t, ++output) {
      // A block gate is logged once, by the first group of its block.
      const size_t index = spec_.gate.share == spec::GateShare::kBlock ? g / 2 : site++;
      const at::Tensor p = log.records[index].probabilities;
      at::Tensor expected = at::zeros_like(own[output]);
      for (int64_t token = 0; token < kTokens; ++token) {
        at::Tensor mean_a = at::zeros({kRank, bank.in()}, at::kDouble);
        at::Tensor mean_b = at::zeros({bank.targets()[t].out, kRank}, at::kDouble);
        for (int64_t e = 0; e < kExperts; ++e) {
          mean_a += p[token][e] * bank.folder_factors(t, e).a;
          mean_b += p[token][e] * bank.folder_factors(t, e).b;
        }
        for (int64_t e = 0; e < kExperts; ++e) {
          const at::Tensor spread = at::matmul(bank.folder_factors(t, e).b - mean_b,
                                               bank.folder_factors(t, e).a - mean_a);
          expected[token] += spec_.scaling() * p[token][e] * at::mv(spread, x[token]);
        }
      }
      EXPECT_LT(max_difference(sign * (own[output] - other[output]), expected), kRounding);
      EXPECT_GT(expected.abs().max().item<double>(), 1e-3);
    }
  }
  set_all_experts_to_the_first(/*a=*/true, /*b=*/false);
  expect_same(outputs(model_), other_reading_outputs());
}

/// Uniform deltas are a LoRA with all factors side by side and scale s / N; uniform factors are a
/// LoRA with the mean factors.
TEST_P(LMoe, Invariant5AUniformGateIsOneLora) {
  force_logits(std::vector<double>(kExperts, 0.0));
  const bool deltas = spec_.apply == spec::Apply::kDeltas;
  const double n = static_cast<double>(kExperts), s = spec_.scaling();
  const auto lora = lora_outputs(
      deltas ? kExperts * kRank : kRank, deltas ? s / n : s, [&](auto& bank, size_t t) {
        std::vector<at::Tensor> a, b;
        for (int64_t e = 0; e < kExperts; ++e) {
          a.push_back(bank.folder_factors(t, e).a);
          b.push_back(bank.folder_factors(t, e).b);
        }
        return deltas ? mixture::ExpertFactors{at::cat(a, /*dim=*/0), at::cat(b, /*dim=*/1)}
                      : mixture::ExpertFactors{at::stack(a).mean(0), at::stack(b).mean(0)};
      });
  expect_same(outputs(model_), lora);
}

TEST_P(LMoe, Invariant6GradientsEqualFiniteDifferencesWithTheBalanceTermOn) {
  const TinyModel model(1);
  spec::MixtureSpec spec = spec_;
  spec.losses = {{spec::BalanceLoss::kCv2, 0.5},
                 {spec::BalanceLoss::kSwitch, 0.4},
                 {spec::BalanceLoss::kKl, 0.3}};
  Mixture mixture(spec, model.groups(), 3, at::kDouble);
  randomize(mixture, 9);
  mixture.plug(model.groups());
  const at::Tensor x = input(kHidden, 1).requires_grad_(true);
  const at::Tensor direction = numbers({kTokens, kHidden}, 2, at::kDouble);
  std::vector<nn::NamedTensor> inputs = mixture.parameters();
  inputs.push_back({"x", x});
  check_gradients(
      [&] {
        nn::RouterLog log;
        nn::ForwardContext context;
        context.router_log = &log;
        const at::Tensor task = (model.forward(x, context) * direction).sum();
        return task + mixture.auxiliary_loss(log);
      },
      inputs);
}

TEST_P(LMoe, Invariant7AddingAConstantToAllLogitsChangesNothing) {
  const auto before = outputs(model_);
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (size_t i = 0; i < before.size(); ++i)
    loss = loss + (before[i] * numbers(before[i].sizes().vec(), i, at::kDouble)).sum();
  loss.backward();
  const at::NoGradGuard no_grad;
  for (const auto& gate : mixture_.gates()) {
    at::Tensor last = gate->tensors().back().tensor;
    const auto stacked = static_cast<int64_t>(gate->sites().size());
    // Each row of dW is dz_i times the same features: the rows of one gate sum to zero.
    const at::Tensor by_gate = last.grad().view({stacked, kExperts, last.size(1)});
    EXPECT_GT(by_gate.abs().max().item<double>(), 1e-6);
    EXPECT_LT(by_gate.sum(/*dim=*/1).abs().max().item<double>(), kRounding);
    last.view({stacked, kExperts, last.size(1)}) +=
        numbers({stacked, 1, last.size(1)}, 11, at::kDouble);
  }
  expect_same(outputs(model_), before);
}

TEST_P(LMoe, Invariant8PermutingExpertsWithTheirGateRowsChangesNothing) {
  nn::RouterLog log;
  const auto before = outputs(model_, &log);
  const double loss = mixture_.auxiliary_loss(log).item<double>();
  const at::NoGradGuard no_grad;
  const at::Tensor order = at::tensor(std::vector<int64_t>{2, 0, 1});
  for (const auto& bank : mixture_.banks()) {
    const auto targets = static_cast<int64_t>(bank->bank().targets().size());
    at::Tensor a = bank->bank().a();
    const at::Tensor by_expert = a.view({targets, kExperts, kRank, a.size(1)});
    a.copy_(by_expert.index_select(1, order).view(a.sizes()));
    for (size_t t = 0; t < bank->bank().targets().size(); ++t) {
      at::Tensor b = bank->bank().b(t);
      b.copy_(b.view({b.size(0), kExperts, kRank}).index_select(1, order).view(b.sizes()));
    }
  }
  for (const auto& gate : mixture_.gates()) {
    at::Tensor last = gate->tensors().back().tensor;
    const auto stacked = static_cast<int64_t>(gate->sites().size());
    const at::Tensor by_expert = last.view({stacked, kExperts, last.size(1)});
    last.copy_(by_expert.index_select(1, order).view(last.sizes()));
  }
  nn::RouterLog permuted;
  expect_same(outputs(model_, &permuted), before);
  EXPECT_NEAR(mixture_.auxiliary_loss(permuted).item<double>(), loss, kRounding);
  EXPECT_FALSE(at::allclose(permuted.records[0].weights, log.records[0].weights));
}

std::string reading_name(const ::testing::TestParamInfo<Reading>& info) {
  return std::string(info.param.apply == spec::Apply::kDeltas ? "deltas" : "factors") +
         (info.param.share == spec::GateShare::kBlock ? "_block" : "_projection") +
         (info.param.net == spec::GateNet::kMlp ? "_mlp" : "_linear");
}

INSTANTIATE_TEST_SUITE_P(
    Readings,
    LMoe,
    ::testing::Values(
        Reading{spec::Apply::kDeltas, spec::GateShare::kProjection, spec::GateNet::kLinear},
        Reading{spec::Apply::kDeltas, spec::GateShare::kProjection, spec::GateNet::kMlp},
        Reading{spec::Apply::kDeltas, spec::GateShare::kBlock, spec::GateNet::kLinear},
        Reading{spec::Apply::kDeltas, spec::GateShare::kBlock, spec::GateNet::kMlp},
        Reading{spec::Apply::kFactors, spec::GateShare::kProjection, spec::GateNet::kLinear},
        Reading{spec::Apply::kFactors, spec::GateShare::kProjection, spec::GateNet::kMlp},
        Reading{spec::Apply::kFactors, spec::GateShare::kBlock, spec::GateNet::kLinear},
        Reading{spec::Apply::kFactors, spec::GateShare::kBlock, spec::GateNet::kMlp}),
    reading_name);

}  // namespace
}  // namespace lmoe::test
