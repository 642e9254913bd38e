// The fast form of whole-FFN experts against running every expert's FFN by itself: outputs and
// every gradient, also where experts get no token, all tokens, or there is one token only.
#include <gtest/gtest.h>

#include "mixture/ffn_experts.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

spec::MixtureSpec small_spec(int64_t k) {
  spec::MixtureSpec spec = spec::find_method("mixlora").preset();
  spec.experts.count = 4;
  spec.experts.rank = 2;
  spec.experts.alpha = 2;
  spec.experts.dropout = 0;
  spec.select.k = k;
  spec.plain = {};
  return spec;
}

/// Every expert on every token with its merged weights; what it gets no weight for adds zero.
at::Tensor naive(const mixture::FfnExperts& experts, const nn::GatedMlp& mlp, const at::Tensor& x) {
  nn::ForwardContext context;
  const at::Tensor w = experts.gate()->weights(x, context).select(1, 0);
  const auto merged = [&](const nn::FrozenLinear& frozen, size_t bank, size_t target, int64_t e) {
    const mixture::ExpertBank& own = *experts.banks()[bank];
    const mixture::ExpertFactors f = own.folder_factors(target, e);
    return frozen.weight.expand() + own.scaling() * at::matmul(f.b, f.a);
  };
  const auto &gate = mlp.gate_up().linears()[0], &up = mlp.gate_up().linears()[1];
  const auto& down = mlp.down().linears()[0];
  at::Tensor y = at::zeros_like(x);
  for (int64_t e = 0; e < w.size(1); ++e) {
    const at::Tensor inner = at::silu(at::linear(x, merged(gate, 0, 0, e), gate.bias)) *
                             at::linear(x, merged(up, 0, 1, e), up.bias);
    y = y + w.select(1, e).unsqueeze(1) * at::linear(inner, merged(down, 1, 0, e), down.bias);
  }
  return y;
}

class FfnForms : public ::testing::TestWithParam<int64_t> {
 protected:
  FfnForms() : mixture_(small_spec(GetParam()), model_.sockets(), 3, at::kDouble) {
    mixture_.plug(model_.sockets());
    randomize(mixture_, 5);
  }

  /// Tokens prefer experts 0, 1, 2, 3 in this order, whatever (positive) they are.
  void prefer_the_first_experts() {
    const at::NoGradGuard no_grad;
    at::Tensor weight = mixture_.gates()[0]->parameters()[0].tensor;
    for (int64_t e = 0; e < 4; ++e) weight[e].fill_(static_cast<double>(-e));
  }

  struct Run {
    at::Tensor y;
    std::vector<at::Tensor> gradients;
  };
  template <class Forward>
  Run run(const at::Tensor& values, const Forward& forward) {
    const at::Tensor x = values.clone().requires_grad_(true);
    std::vector<nn::NamedTensor> all = mixture_.parameters();
    all.push_back({"x", x});
    for (const nn::NamedTensor& one : all) one.tensor.mutable_grad() = at::Tensor();
    Run result = {forward(x), {}};
    (result.y * numbers(result.y.sizes().vec(), 9, at::kDouble)).sum().backward();
    for (const nn::NamedTensor& one : all) {
      EXPECT_TRUE(one.tensor.grad().defined()) << one.name;
      result.gradients.push_back(one.tensor.grad().clone());
    }
    return result;
  }

  void compare(const at::Tensor& x) {
    const nn::GatedMlp& mlp = *model_.sockets().mlps[0];
    const mixture::FfnExperts& experts = *mixture_.ffn_experts()[0];
    const Run fast = run(x, [&](const at::Tensor& in) {
      nn::ForwardContext context;
      return mlp.forward(in, context);
    });
    const Run slow = run(x, [&](const at::Tensor& in) { return naive(experts, mlp, in); });
    EXPECT_LT(relative_error(fast.y, slow.y), 1e-13);
    for (size_t i = 0; i < fast.gradients.size(); ++i)
      EXPECT_LT(max_difference(fast.gradients[i], slow.gradients[i]),
                1e-12 * std::max(1.0, slow.gradients[i].abs().max().item<double>()))
          << i;
  }

  TinyModel model_{1};
  mixture::Mixture mixture_;
};

TEST_P(FfnForms, AgreeOnTokensThatSpreadOverTheExperts) {
  compare(numbers({23, kHidden}, 1, at::kDouble));
}

TEST_P(FfnForms, AgreeOnOneToken) { compare(numbers({1, kHidden}, 1, at::kDouble)); }

TEST_P(FfnForms, AgreeWhenAllTokensChooseTheSameExperts) {
  prefer_the_first_experts();
  const at::Tensor x = numbers({7, kHidden}, 1, at::kDouble).abs();
  compare(x);
  nn::ForwardContext context;
  const at::Tensor w = mixture_.gates()[0]->weights(x, context);
  EXPECT_EQ((w > 0).sum().item<int64_t>(), 7 * GetParam());
  EXPECT_TRUE((w.select(2, 0) > 0).all().item<bool>()) << "all tokens are on expert 0";
}

INSTANTIATE_TEST_SUITE_P(K, FfnForms, ::testing::Values(1, 2, 3, 4));

TEST(FfnExperts, PlainLoraUnderTheExpertsActsInEachOfThem) {
  // The block's own projections keep their sockets: what is plugged there is part of each expert.
  const TinyModel model(1);
  spec::MixtureSpec lora = spec::find_method("lora").preset();
  lora.target_modules = {"up_proj", "down_proj"};
  mixture::Mixture below(lora, model.sockets(), 3, at::kDouble);
  below.plug(model.sockets());
  randomize(below, 7);
  const at::Tensor x = numbers({5, kHidden}, 1, at::kDouble);
  nn::ForwardContext context;
  const at::Tensor alone = model.sockets().mlps[0]->forward(x, context);
  mixture::Mixture experts(small_spec(2), model.sockets(), 3, at::kDouble);
  experts.plug(model.sockets());
  EXPECT_LT(max_difference(model.sockets().mlps[0]->forward(x, context), alone), 1e-13);
}

}  // namespace
}  // namespace lmoe::test
