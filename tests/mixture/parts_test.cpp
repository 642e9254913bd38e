// Small parts on their own: selection among ties, normalisation, dropout.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "mixture/dropout.h"
#include "mixture/normalize.h"
#include "mixture/select.h"
#include "mixture/with_aten.h"
#include "spec/method_info.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

spec::SelectSpec top(int64_t k) { return {spec::SelectKind::kTopK, k}; }

mixture::Scores scores_of(const at::Tensor& logits) {
  return mixture::make_scores(logits, {}, spec::BiasUse::kNone, spec::Normalize::kSoftmax);
}

TEST(Select, AmongEqualLogitsTheLowerIndexComesFirst) {
  const at::Tensor logits = at::tensor({1.0, 2.0, 2.0, 2.0, 0.0, 1.0}).view({1, 6});
  const auto chosen = [&](int64_t k) {
    return mixture::select_experts(scores_of(logits), top(k))[0];
  };
  EXPECT_TRUE(at::equal(chosen(1), at::tensor({0, 1, 0, 0, 0, 0}).to(at::kBool)));
  EXPECT_TRUE(at::equal(chosen(2), at::tensor({0, 1, 1, 0, 0, 0}).to(at::kBool)));
  EXPECT_TRUE(at::equal(chosen(4), at::tensor({1, 1, 1, 1, 0, 0}).to(at::kBool)));
  EXPECT_FALSE(mixture::select_experts(scores_of(logits), {}).defined());
  // Many equal experts: a sort that is not stable would mix them up.
  const at::Tensor equal = at::zeros({3, 100});
  const at::Tensor first = mixture::select_experts(scores_of(equal), top(40));
  EXPECT_EQ(first.slice(1, 0, 40).sum().item<int64_t>(), 120);
}

TEST(Select, TakesWhatASortedRowBeginsWith) {
  at::manual_seed(3);
  mixture::Scores scores;
  scores.ranking = at::randint(0, 5, {60, 9}, at::kDouble);  // many ties
  const double infinity = std::numeric_limits<double>::infinity();
  scores.ranking.masked_fill_(at::rand({60, 9}).lt(0.2), -infinity);
  scores.ranking.masked_fill_(at::rand({60, 9}).lt(0.1), std::nan(""));
  const at::Tensor order =
      std::get<1>(at::sort(scores.ranking, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
  for (int64_t k = 1; k <= 9; ++k) {
    const at::Tensor expected =
        at::zeros({60, 9}, at::kBool).scatter_(-1, order.narrow(-1, 0, k), true);
    EXPECT_TRUE(at::equal(mixture::select_experts(scores, top(k)), expected)) << k;
  }
  EXPECT_THROW(mixture::select_experts(scores, top(10)), Error);
}

TEST(Normalize, SelectedSoftmaxAndRenormalisationAgree) {
  const at::Tensor logits = numbers({5, 6}, 1, at::kDouble) * 3;
  const at::Tensor p = at::softmax(logits, 1);
  const at::Tensor selected = mixture::select_experts(scores_of(logits), top(3));
  const auto weights = [&](spec::Normalize form) {
    return mixture::routing_weights(scores_of(logits), selected, form);
  };
  EXPECT_LT(max_difference(weights(spec::Normalize::kRenormalize),
                           weights(spec::Normalize::kSoftmaxSelected)),
            1e-15);
  EXPECT_TRUE(at::equal(weights(spec::Normalize::kSoftmax), p * selected));
}

TEST(Dropout, KeepsTheMeanAndTheShare) {
  Rng rng(1);
  const at::Tensor y = mixture::dropout(at::ones({1001, 99}), 0.3, rng);
  // Standard error of the share of 1e5 draws: 0.0015.
  EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), 0.3, 0.006);
  EXPECT_NEAR(y.mean().item<double>(), 1.0, 0.01);
  EXPECT_FLOAT_EQ(y.max().item<float>(), 1.0F / 0.7F);
}

TEST(Dropout, TheMaskThatAtenComputesIsThatOfTheKernel) {
  constexpr int64_t kWidth = 37;
  const at::Tensor rows = at::tensor({0L, 1L, 1000L, (1L << 32) - 1, (1L << 33) + 5}, at::kLong);
  const auto check = [&](auto one, uint64_t seed, double rate) {
    const mixture::DropoutMask mask{seed, rate};
    const at::ScalarType dtype = c10::CppTypeToScalarType<decltype(one)>::value;
    at::Tensor expected = at::ones({rows.size(0), kWidth}, dtype);
    for (int64_t i = 0; i < rows.size(0); ++i) {
      auto* row = expected.data_ptr<decltype(one)>() + i * kWidth;
      mixture::drop_row(mask, rows[i].item<int64_t>(), row, kWidth, row);
    }
    EXPECT_TRUE(at::equal(mixture::with_aten::dropout_factors(mask, rows, kWidth, dtype), expected))
        << seed << ", " << rate;
  };
  for (const uint64_t seed : {uint64_t{0}, uint64_t{0x123456789abcdef0}, ~uint64_t{0}})
    for (const double rate : {0.05, 0.3, 0.999}) {
      check(1.0F, seed, rate);
      check(1.0, seed, rate);
    }
}

TEST(Dropout, IsTheSameAsAtenComposesItInEveryType) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const at::Tensor x = numbers({5, 3, 17}, 1, dtype);
    Rng rng(7), same(7);
    EXPECT_TRUE(
        at::equal(mixture::dropout(x, 0.4, rng), mixture::with_aten::drop(x, {same.next(), 0.4})))
        << dtype;
  }
}

class DropoutInMixture : public ::testing::Test {
 protected:
  DropoutInMixture() : model_(1) {
    spec::MixtureSpec spec = spec::find_method("l-moe").preset();
    spec.experts.count = 2;
    spec.experts.dropout = 0.5;
    mixture_ = std::make_unique<mixture::Mixture>(spec, model_.groups(), 1, at::kDouble);
    randomize(*mixture_, 2);
    mixture_->plug(model_.groups());
  }

  at::Tensor forward(bool is_training, uint64_t seed) const {
    Rng rng(seed);
    nn::ForwardContext context;
    context.is_training = is_training;
    context.dropout_rng = &rng;
    return model_.forward(numbers({6, kHidden}, 3, at::kDouble), context);
  }

  TinyModel model_;
  std::unique_ptr<mixture::Mixture> mixture_;
};

TEST_F(DropoutInMixture, ActsInTrainingAloneAndFollowsTheGenerator) {
  EXPECT_TRUE(at::equal(forward(false, 1), forward(false, 2)));
  EXPECT_TRUE(at::equal(forward(true, 1), forward(true, 1)));
  EXPECT_FALSE(at::equal(forward(true, 1), forward(true, 2)));
  EXPECT_FALSE(at::equal(forward(true, 1), forward(false, 1)));
}

TEST_F(DropoutInMixture, NeedsAGenerator) {
  nn::ForwardContext context;
  context.is_training = true;
  EXPECT_THROW(model_.forward(numbers({6, kHidden}, 3, at::kDouble), context), Error);
}

TEST_F(DropoutInMixture, TheGateReadsTheWholeInput) {
  nn::RouterLog dropped, whole;
  const at::Tensor h = numbers({6, kHidden}, 3, at::kDouble);
  Rng rng(1);
  nn::ForwardContext training, plain;
  training.is_training = true;
  training.dropout_rng = &rng;
  training.router_log = &dropped;
  plain.router_log = &whole;
  const nn::ProjectionGroup& first = *model_.groups().front();
  first.forward({h, h}, training);
  first.forward({h, h}, plain);
  EXPECT_LT(max_difference(dropped.records[0].weights, whole.records[0].weights), 1e-15);
}

TEST(DisabledExpert, ThatALayerLacksChangesNothingThere) {
  const TinyModel model(2);
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.experts.count = 3;
  spec.experts.count_by_layer = {2, 3};
  mixture::Mixture mixture(spec, model.groups(), 1, at::kDouble);
  randomize(mixture, 2);
  mixture.plug(model.groups());
  const at::Tensor x = numbers({2, kHidden}, 3, at::kDouble);
  const auto first_group_of = [&](size_t layer, int disabled) {
    nn::ForwardContext context;
    context.disabled_expert = disabled;
    return model.groups()[4 * layer]->forward({x, x}, context)[0];
  };
  EXPECT_TRUE(at::equal(first_group_of(0, 2), first_group_of(0, -1)));
  EXPECT_FALSE(at::equal(first_group_of(1, 2), first_group_of(1, -1)));
}

TEST(Plug, TwoMixturesInOneSocketAreRefusedWhole) {
  const TinyModel model(1), untouched(1);
  spec::MixtureSpec mlp = spec::find_method("l-moe").preset();
  mlp.target_modules = {"down_proj"};
  mixture::Mixture first(mlp, model.groups(), 1, at::kDouble);
  mixture::Mixture second(spec::find_method("l-moe").preset(), model.groups(), 2, at::kDouble);
  randomize(second, 3);
  first.plug(model.groups());
  EXPECT_THROW(second.plug(model.groups()), Error);
  const at::Tensor h = numbers({2, kHidden}, 3, at::kDouble);
  EXPECT_TRUE(at::equal(model.forward(h), untouched.forward(h)));  // first is still fresh
}

}  // namespace
}  // namespace lmoe::test
