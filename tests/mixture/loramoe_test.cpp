// The acceptance invariants of LoRAMoE (loramoe.md). The first two, the dense mixture and its
// identities, are those of L-MoE in the conformance suite.
#include <gtest/gtest.h>

#include <cmath>

#include "mixture/balance_loss.h"
#include "routing.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using spec::BalanceLoss;
using spec::LossSpec;

constexpr double kDelta = 0.1;

LossSpec localized(BalanceLoss kind = BalanceLoss::kLocalized, double delta = kDelta) {
  LossSpec loss;
  loss.kind = kind;
  loss.tasks = 2;
  loss.delta = delta;
  return loss;
}

/// Documents of `lengths` tokens, of the tasks given.
std::vector<nn::Segment> documents(const std::vector<int64_t>& lengths,
                                   const std::vector<int64_t>& tasks) {
  std::vector<nn::Segment> segments;
  int64_t start = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    segments.push_back({.start = start, .length = lengths[i], .task = tasks[i]});
    start += lengths[i];
  }
  return segments;
}

double value(const LossSpec& loss,
             const at::Tensor& probabilities,
             std::vector<nn::Segment> segments) {
  nn::RouterLog log;
  log.records.push_back({"gate", 0, probabilities, probabilities, {}, probabilities.log()});
  log.segments = std::move(segments);
  return mixture::balance_loss(loss, log).item<double>();
}

/// The two forms of the card in plain loops, Q given.
double naive(const LossSpec& loss,
             const std::vector<std::vector<double>>& q,
             const std::vector<int64_t>& tasks) {
  std::vector<double> z;
  for (size_t m = 0; m < q.size(); ++m) {
    for (size_t e = 0; e < q[m].size(); ++e) {
      const bool is_own = static_cast<int64_t>(e * 2 / q[m].size()) == tasks[m];
      z.push_back(q[m][e] * (is_own ? 1 + loss.delta : 1 - loss.delta));
    }
  }
  const auto n = static_cast<double>(z.size());
  double mean = 0, squares = 0;
  for (const double one : z) mean += one / n;
  for (const double one : z) squares += (one - mean) * (one - mean);
  return loss.kind == BalanceLoss::kLocalizedPaper ? squares / n / mean
                                                   : squares / (n - 1) / (mean * mean + 1e-10);
}

TEST(LoraMoe, BothFormsEqualThePlainLoops) {
  const at::Tensor p = at::softmax(numbers({7, 4}, 1, at::kDouble), 1);
  const std::vector<int64_t> lengths = {3, 1, 3}, tasks = {0, 1, 1};
  for (const BalanceLoss kind : {BalanceLoss::kLocalized, BalanceLoss::kLocalizedPaper}) {
    for (const bool per_token : {false, true}) {
      LossSpec loss = localized(kind);
      loss.per_token = per_token;
      std::vector<std::vector<double>> q;
      for (const nn::Segment& s : documents(lengths, tasks)) {
        std::vector<double> sums(4, 0.0);
        for (int64_t t = s.start; t < s.start + s.length; ++t)
          for (int64_t e = 0; e < 4; ++e)
            sums[static_cast<size_t>(e)] +=
                p[t][e].item<double>() / (per_token ? static_cast<double>(s.length) : 1.0);
        q.push_back(sums);
      }
      EXPECT_NEAR(value(loss, p, documents(lengths, tasks)), naive(loss, q, tasks), 1e-13);
    }
  }
}

TEST(LoraMoe, Invariant3ZeroWhereQIsInverseToI) {
  // Documents of one token: p proportional to 1 / I, 1/1.1 for the own half, 1/0.9 for the other.
  const double own = 0.5 * (1 - kDelta), other = 0.5 * (1 + kDelta);
  const at::Tensor p =
      at::tensor({own / 2, own / 2, other / 2, other / 2, other / 2, other / 2, own / 2, own / 2},
                 at::kDouble)
          .view({2, 4});
  for (const BalanceLoss kind : {BalanceLoss::kLocalized, BalanceLoss::kLocalizedPaper}) {
    EXPECT_NEAR(value(localized(kind), p, documents({1, 1}, {0, 1})), 0.0, 1e-15);
    EXPECT_GT(value(localized(kind), p, documents({1, 1}, {1, 0})), 1e-3);
    EXPECT_NEAR(value(localized(kind, -kDelta), p, documents({1, 1}, {1, 0})), 0.0, 1e-15)
        << "the sign of delta turns the tasks round";
  }
}

TEST(LoraMoe, Invariant3ScaleOfQ) {
  // The same tokens twice as often double Q.
  const at::Tensor p = at::softmax(numbers({4, 4}, 2, at::kDouble), 1);
  const at::Tensor doubled = p.repeat_interleave(2, 0);
  const auto once = documents({2, 2}, {0, 1}), twice = documents({4, 4}, {0, 1});
  const double code = value(localized(), p, once);
  EXPECT_NEAR(value(localized(), doubled, twice), code, 1e-9 * code);
  const LossSpec paper = localized(BalanceLoss::kLocalizedPaper);
  EXPECT_NEAR(value(paper, doubled, twice), 2 * value(paper, p, once), 1e-13);
}

TEST(LoraMoe, Invariant4WithoutDeltaItIsTheVariationOfTheImportance) {
  const at::Tensor p = at::softmax(numbers({6, 4}, 3, at::kDouble), 1);
  const at::Tensor q = p.view({2, 3, 4}).sum(1);
  const double expected = (q.var(/*unbiased=*/true) / q.mean().square()).item<double>();
  EXPECT_NEAR(value(localized(BalanceLoss::kLocalized, 0.0), p, documents({3, 3}, {0, 1})),
              expected, 1e-9);
}

TEST(LoraMoe, Invariant5SwappingHalvesAndTasksTogether) {
  const at::Tensor p = at::softmax(numbers({6, 4}, 4, at::kDouble), 1);
  const double before = value(localized(), p, documents({2, 4}, {0, 1}));
  EXPECT_NEAR(value(localized(), p.roll(2, 1), documents({2, 4}, {1, 0})), before, 1e-14);
  EXPECT_GT(std::abs(value(localized(), p, documents({2, 4}, {1, 0})) - before), 1e-4);
}

TEST(LoraMoe, Invariant6GradientWithRespectToLogits) {
  at::Tensor z = numbers({6, 4}, 5, at::kDouble).requires_grad_(true);
  for (const BalanceLoss kind : {BalanceLoss::kLocalized, BalanceLoss::kLocalizedPaper}) {
    check_gradients(
        [&] {
          nn::RouterLog log;
          const at::Tensor p = at::softmax(z, 1);
          log.records.push_back({"gate", 0, p, p, {}, z});
          log.segments = documents({2, 4}, {0, 1});
          return mixture::balance_loss(localized(kind), log);
        },
        {{"logits", z}});
  }
}

TEST(LoraMoe, AGradientStepMovesWeightToTheOtherTasksExperts) {
  // The sign trap of the card: with delta above 0 a document's own experts lose.
  at::Tensor z = at::zeros({2, 4}, at::kDouble).requires_grad_(true);
  nn::RouterLog log;
  const at::Tensor p = at::softmax(z, 1);
  log.records.push_back({"gate", 0, p, p, {}, z});
  log.segments = documents({1, 1}, {0, 1});
  mixture::balance_loss(localized(), log).backward();
  EXPECT_TRUE(z.grad()[0].slice(0, 0, 2).gt(0).all().item<bool>());
  EXPECT_TRUE(z.grad()[0].slice(0, 2, 4).lt(0).all().item<bool>());
}

TEST(LoraMoe, OneNumberHasNoVariance) {
  LossSpec loss = localized();
  loss.tasks = 1;
  EXPECT_EQ(value(loss, at::ones({3, 1}, at::kDouble), documents({3}, {0})), 0.0);
}

}  // namespace
}  // namespace lmoe::test
