// The acceptance invariants of DynMoLE (dynmole.md). Its naive reference, gradients and files are
// in the conformance suite; that order 1 is the limit of the others is in balance_loss_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "mixture/entropy.h"
#include "routing.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr spec::EntropySpec kTsallis = {.order = 1.1, .normalized = true, .epsilon = 1e-5};

at::Tensor one_hot_logits(int64_t experts) {
  at::Tensor logits = at::zeros({1, experts}, at::kDouble);
  logits[0][1] = 900.0;
  return logits;
}

double entropy_of(const at::Tensor& p, const spec::EntropySpec& spec) {
  return mixture::entropy(p, spec).item<double>();
}

TEST(DynMole, Invariant1UndecidedTokensTakeAllExperts) {
  const auto uniform = [](int64_t n) {
    return at::full({1, n}, 1.0 / static_cast<double>(n), at::kDouble);
  };
  EXPECT_NEAR(entropy_of(uniform(6), kTsallis), 0.99966, 5e-6);
  EXPECT_NEAR(entropy_of(uniform(8), kTsallis), 0.99962, 5e-6);
  EXPECT_NEAR(entropy_of(uniform(6), {1.1, true, 0.0}), 1.0, 1e-12);
  const Routing routing = route(read_section("{method: dynmole}"), at::zeros({1, 6}, at::kDouble));
  EXPECT_TRUE(routing.selected.all().item<bool>());
  EXPECT_TRUE(at::equal(routing.weights, routing.scores.probabilities));
}

TEST(DynMole, Invariant2DecidedTokensTakeTheLeastNumber) {
  const Routing routing = route(read_section("{method: dynmole}"), one_hot_logits(6));
  EXPECT_NEAR(entropy_of(routing.scores.probabilities, kTsallis), -1.6e-4, 5e-6);
  EXPECT_EQ(routing.selected.sum().item<int64_t>(), 2);
}

TEST(DynMole, Invariant3LimitsAreTheDenseMixture) {
  const at::Tensor logits = numbers({20, 6}, 1, at::kDouble) * 4;
  for (const char* limit : {"{threshold: 1, top_p: 1}", "{threshold: -0.01}"}) {
    const Routing routing =
        route(read_section(concat("{method: dynmole, select: ", limit, "}")), logits);
    EXPECT_TRUE(at::equal(routing.weights, routing.scores.probabilities)) << limit;
  }
  // 0 is not low enough: the entropy of a peaked token is slightly negative.
  const Routing peaked =
      route(read_section("{method: dynmole, select: {threshold: 0}}"), one_hot_logits(6));
  EXPECT_EQ(peaked.selected.sum().item<int64_t>(), 2);
}

TEST(DynMole, Invariant4WithoutTopPItIsMola) {
  const at::Tensor logits = numbers({20, 6}, 1, at::kDouble) * 4;
  const char* keys = "select: {threshold: 1, top_p: 0}";
  const Routing routing = route(read_section(concat("{method: dynmole, ", keys, "}")), logits);
  EXPECT_TRUE(routing.selected.sum(1).eq(2).all().item<bool>());
  const Routing renormalised =
      route(read_section(concat("{method: dynmole, normalize: renormalize, ", keys, "}")), logits);
  const Routing mola =
      route(read_section("{method: mola, experts: {count: 6, count_by_layer: []}}"), logits);
  EXPECT_TRUE(at::equal(renormalised.weights, mola.weights));
}

TEST(DynMole, Invariant6GradientOfTheEntropy) {
  at::Tensor p = at::softmax(numbers({3, 6}, 2, at::kDouble) * 2, 1).requires_grad_(true);
  mixture::entropy(p, {1.1, false, 1e-5}).sum().backward();
  const at::Tensor expected = -1.1 * (p.detach() + 1e-5).pow(0.1) / 0.1;
  EXPECT_LT(max_difference(p.grad(), expected), 1e-12);
  at::Tensor z = (numbers({3, 6}, 3, at::kDouble) * 2).requires_grad_(true);
  check_gradients([&] { return mixture::entropy(at::softmax(z, 1), kTsallis).sum(); },
                  {{"logits", z}});
}

TEST(DynMole, TheCrossingExpertIsLeftOutUnlessAsked) {
  const at::Tensor p = at::tensor({0.5, 0.3, 0.15, 0.05}, at::kDouble).view({1, 4});
  const auto selected = [&](const char* keys) {
    return route(read_section(concat("{experts: {count: 4}, select: {kind: top_p, ", keys, "}}")),
                 p.log())
        .selected.sum()
        .item<int64_t>();
  };
  EXPECT_EQ(selected("top_p: 0.7"), 2);
  EXPECT_EQ(selected("top_p: 0.7, include_crossing: false"), 1);
  EXPECT_EQ(selected("top_p: 0.4, include_crossing: false"), 0);
  EXPECT_EQ(selected("top_p: 0.4, include_crossing: false, k: 3"), 3);
  EXPECT_EQ(selected("top_p: 0.9"), 3);
  EXPECT_EQ(selected("top_p: 1"), 4);
}

}  // namespace
}  // namespace lmoe::test
