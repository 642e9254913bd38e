// The acceptance invariants of ReMix that concern the draw; those of the gradient are in
// tests/train/gradient_estimator_test.cpp.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "mixture/draw_experts.h"
#include "sections.h"
#include "spec/method_info.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

const char* const kSection = "{method: remix, experts: {count: 4, rank: 3}, select: {k: 2}}";

TEST(Remix, WeightsAreTheSameConstantOnKDistinctExperts) {
  const spec::MixtureSpec spec = read_section(kSection);
  EXPECT_DOUBLE_EQ(spec.scaling(), 2.0 / (2 * 3)) << "omega = 2 / (k r)";
  EXPECT_DOUBLE_EQ(read_section("{method: remix, experts: {count: 4, rank: 3, use_rslora: true},"
                                " select: {k: 2}}")
                       .scaling(),
                   2.0 / std::sqrt(2 * 3));
  const TinyModel model(1);
  mixture::Mixture mixture(spec, model.groups(), 3, at::kDouble);
  mixture.plug(model.groups());
  randomize(mixture, 5);
  Rng rng(9);
  for (const bool is_training : {true, false}) {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    context.is_training = is_training;
    context.dropout_rng = &rng;
    model.forward(numbers({40, kHidden}, 1, at::kDouble), context);
    for (const nn::GateRecord& record : log.records) {
      EXPECT_TRUE(at::equal(record.weights, record.selected.to(at::kDouble)));
      // (sum |w|)^2 / sum w^2, the number of experts that have a say.
      const at::Tensor support = record.weights.sum(1).square() / record.weights.square().sum(1);
      EXPECT_TRUE(support.eq(2).all().item<bool>());
      const at::Tensor best = std::get<1>(at::topk(record.probabilities, 2, 1));
      const bool is_top_k = record.selected.gather(1, best).all().item<bool>();
      EXPECT_EQ(is_top_k, !is_training) << "draws differ from top-k somewhere among 40 tokens";
      EXPECT_EQ(record.log_draw.defined(), is_training);
    }
  }
}

TEST(Remix, ProbabilitiesAndScoresOfDraws) {
  const at::Tensor logits = at::log(at::tensor({0.5, 0.3, 0.2}, at::kDouble)).requires_grad_(true);
  const auto probability = [&](int64_t first, int64_t second) {
    const at::Tensor order = at::tensor({first, second}, at::kLong);
    return std::exp(mixture::log_probability(logits, order).item<double>());
  };
  EXPECT_NEAR(probability(0, 1), 0.3, 1e-14);
  EXPECT_NEAR(probability(1, 0), 0.3 * 0.5 / 0.7, 1e-14);
  const double p01 = probability(0, 1) + probability(1, 0);
  const double p02 = probability(0, 2) + probability(2, 0);
  const double p12 = probability(1, 2) + probability(2, 1);
  EXPECT_NEAR(p01, 0.5142857, 1e-7);
  EXPECT_NEAR(p02, 0.325, 1e-14);
  EXPECT_NEAR(p12, 0.1607143, 1e-7);
  EXPECT_NEAR(p01 + p02 + p12, 1.0, 1e-14);
  mixture::log_probability(logits, at::tensor({0, 1}, at::kLong)).backward();
  EXPECT_LT(max_difference(logits.grad(), at::tensor({0.5, 0.1, -0.6}, at::kDouble)), 1e-14);
}

// 40,000 draws: the standard deviation of a share is at most 0.0025.
TEST(Remix, DrawsFollowThatLaw) {
  const at::Tensor logits =
      at::log(at::tensor({0.5, 0.3, 0.2}, at::kDouble)).expand({40'000, 3}).contiguous();
  Rng rng(3);
  const mixture::Draw draw = mixture::draw_experts(logits, 2, rng);
  const at::Tensor code = draw.order.select(1, 0) * 3 + draw.order.select(1, 1);
  const auto share = [&](int64_t first, int64_t second) {
    return code.eq(first * 3 + second).to(at::kDouble).mean().item<double>();
  };
  EXPECT_NEAR(share(0, 1), 0.3, 0.0125);
  EXPECT_NEAR(share(1, 0), 0.2142857, 0.0125);
  EXPECT_NEAR(share(0, 2) + share(2, 0), 0.325, 0.0125);
  EXPECT_TRUE(draw.selected.sum(1).eq(2).all().item<bool>());
}

TEST(Remix, PartsThatContradictAreRefused) {
  const auto message = [](const std::string& section) -> std::string {
    try {
      read_section(section);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message("{method: remix, normalize: renormalize}"),
              HasSubstr("given normalize renormalize, expected constant"));
  EXPECT_THAT(message("{method: remix, select: {k: null}}"), HasSubstr("sample needs"));
  EXPECT_THAT(message("{select: {rollouts: 4}}"), HasSubstr("given kind all, expected sample"));
}

}  // namespace
}  // namespace lmoe::test
