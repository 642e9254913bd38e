// Gates by clusters of documents instead of gradients: arXiv 2502.05335.
#include "mixture/refit_gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "mixture/cluster_gate.h"
#include "mixture/gate.h"
#include "sections.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;

constexpr int64_t kExperts = 3, kDocuments = 24, kWidth = 8;

/// Document n is of kind n % 3: near a center of its own.
at::Tensor contexts_of(uint64_t seed, double spread = 0.1) {
  const at::Tensor centers = numbers({kExperts, kWidth}, seed, at::kDouble);
  return centers.repeat({kDocuments / kExperts, 1}) +
         spread * numbers({kDocuments, kWidth}, seed + 1, at::kDouble);
}

/// Kind k is answered best by expert (k + shift) % 3.
at::Tensor losses_of(int64_t shift) {
  at::Tensor losses = 2 + 0.3 * numbers({kDocuments, kExperts}, 9, at::kDouble);
  for (int64_t n = 0; n < kDocuments; ++n) losses[n][(n + shift) % kExperts] -= 1.0;
  return losses;
}

/// What one refit decides: [E, D], and the expert of each document.
struct Refit {
  at::Tensor rows, experts;
};

Refit refit(const at::Tensor& contexts, const at::Tensor& losses) {
  const auto clusters =
      mixture::cluster_contexts(contexts, mixture::distant_contexts(contexts, kExperts));
  EXPECT_TRUE(clusters.has_value());
  const auto expert_of = mixture::match_experts(losses, clusters->labels);
  const at::Tensor experts = at::tensor(expert_of, at::kLong).index_select(0, clusters->labels);
  return {mixture::fit_rows(contexts, experts, kExperts), experts};
}

TEST(ClusterGate, SeparateKindsAllGoToTheExpertThatAnswersThemBest) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const at::Tensor contexts = contexts_of(seed);
    const Refit result = refit(contexts, losses_of(1));
    const at::Tensor chosen = at::matmul(contexts, result.rows.t()).argmax(1);
    for (int64_t n = 0; n < kDocuments; ++n)
      EXPECT_EQ(chosen[n].item<int64_t>(), (n + 1) % kExperts) << seed;
    EXPECT_TRUE(at::equal(chosen, result.experts));
  }
}

TEST(ClusterGate, TheMatchIsAPermutationByMediansInTurn) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const at::Tensor labels = at::arange(kDocuments).remainder(kExperts);
    auto experts =
        mixture::match_experts(numbers({kDocuments, kExperts}, seed, at::kDouble), labels);
    std::sort(experts.begin(), experts.end());
    EXPECT_EQ(experts, (std::vector<int64_t>{0, 1, 2}));
  }
  // Both clusters prefer expert 0 by the median; means would say otherwise for the first.
  const at::Tensor losses =
      at::tensor({1.0, 2.0, 9.0, 3.0, 1.0, 2.0, 1.0, 5.0, 1.0, 5.0}, at::kDouble).view({5, 2});
  EXPECT_EQ(mixture::match_experts(losses, at::tensor({0, 0, 0, 1, 1}, at::kLong)),
            (std::vector<int64_t>{0, 1}));
}

TEST(ClusterGate, NoGradientReachesTheRows) {
  const at::Tensor contexts = contexts_of(3).requires_grad_(true);
  const Refit result = refit(contexts, losses_of(0).requires_grad_(true));
  EXPECT_FALSE(result.rows.requires_grad());
}

TEST(ClusterGate, WithoutClustersThereIsNoAnswer) {
  const at::Tensor same = at::ones({kDocuments, kWidth}, at::kDouble);
  EXPECT_FALSE(mixture::cluster_contexts(same, mixture::distant_contexts(same, kExperts)));
  const at::Tensor contexts = contexts_of(3);
  at::Tensor start = mixture::distant_contexts(contexts, kExperts);
  start[2].fill_(100.0);  // nobody is near
  EXPECT_FALSE(mixture::cluster_contexts(contexts, start));
}

TEST(ClusterGate, WarmFromItsOwnCentroidsItStaysWhereItIs) {
  const at::Tensor contexts = contexts_of(3, 0.8);
  const auto first =
      mixture::cluster_contexts(contexts, mixture::distant_contexts(contexts, kExperts));
  ASSERT_TRUE(first.has_value());
  const auto again = mixture::cluster_contexts(contexts, first->centroids);
  EXPECT_TRUE(at::equal(again->labels, first->labels));
  EXPECT_LT(max_difference(again->centroids, first->centroids), 1e-12);
}

TEST(ClusterGate, PermutingExpertsPermutesRows) {
  const at::Tensor contexts = contexts_of(4);
  const at::Tensor order = at::tensor({2, 0, 1}, at::kLong);
  const Refit one = refit(contexts, losses_of(0));
  const Refit other = refit(contexts, losses_of(0).index_select(1, order));
  EXPECT_TRUE(at::equal(other.rows, one.rows.index_select(0, order)));
}

TEST(ClusterGate, BothSystemsGiveTheRowsThatMakeTheGradientVanish) {
  for (const int64_t width : {3, 40}) {  // fewer numbers than documents, and more
    const at::Tensor x = numbers({kDocuments, width}, 5, at::kDouble);
    const at::Tensor experts = at::arange(kDocuments).remainder(kExperts);
    const double ridge = 0.1;
    const at::Tensor rows = mixture::fit_rows(x, experts, kExperts, ridge);
    const at::Tensor rest = at::matmul(x, rows.t()) - at::one_hot(experts, kExperts);
    EXPECT_LT((at::matmul(rest.t(), x) + ridge * rows).abs().max().item<double>(), 1e-12);
  }
}

/// A mixture whose documents are rows around three kinds, five tokens each.
class RefitGates : public ::testing::TestWithParam<const char*> {
 protected:
  RefitGates() : model_(2), mixture_(read_section(GetParam()), model_.sockets(), 3, at::kDouble) {
    randomize(mixture_, 5);
    const at::NoGradGuard no_grad;  // small, so that kinds of documents stay apart
    for (const nn::NamedTensor& parameter : mixture_.parameters())
      at::Tensor(parameter.tensor).mul_(0.2);
    mixture_.plug(model_.sockets());
  }
  static at::Tensor document(int64_t n) {
    return numbers({1, kHidden}, 100 + static_cast<uint64_t>(n % kExperts), at::kDouble) +
           0.05 * numbers({5, kHidden}, static_cast<uint64_t>(n) + 1, at::kDouble);
  }
  mixture::DocumentContexts read() const {
    mixture::DocumentContexts contexts(mixture_);
    for (int64_t n = 0; n < kDocuments; ++n) {
      nn::RouterLog log;
      log.keeps_inputs = true;
      nn::ForwardContext context;
      context.router_log = &log;
      model_.forward(document(n), context);
      contexts.add(log);
    }
    return contexts;
  }

  TinyModel model_;
  Mixture mixture_;
};

INSTANTIATE_TEST_SUITE_P(
    Gates,
    RefitGates,
    ::testing::Values("{experts: {count: 3, rank: 2}}",
                      "{experts: {count: 3, rank: 2, scale_by: active},"
                      " gate: {source: block_input, share: block}}",
                      "{experts: {count: 3, rank: 2}, top_k: 2, bias: {use: selection}}",
                      "{method: mixlora, experts: {count: 3, rank: 2, dropout: 0},"
                      " plain: {rank: 2, dropout: 0}}"),
    [](const auto& each) { return std::to_string(each.index); });

TEST_P(RefitGates, EveryDocumentIsAnsweredByItsExpertAlone) {
  const auto refit = with_gates_refitted(mixture_, model_.sockets(), read(), losses_of(2));
  std::vector<at::Tensor> outputs;
  mixture_.unplug(model_.sockets());
  refit.mixture->plug(model_.sockets());
  for (int64_t n = 0; n < kDocuments; ++n) {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    outputs.push_back(model_.forward(document(n), context));
    const nn::GateRecord& first = log.records.front();  // later ones read what this one changes
    EXPECT_TRUE(at::equal(first.weights.select(1, (n + 2) % kExperts), at::ones({5}, at::kDouble)));
    EXPECT_EQ(refit.expert_of[static_cast<size_t>(refit.cluster_of[static_cast<size_t>(n)])],
              (n + 2) % kExperts);
  }
  refit.mixture->unplug(model_.sockets());
}

TEST_P(RefitGates, AnExpertAloneIsTheMixtureWithoutTheOthers) {
  for (int64_t e = 0; e < kExperts; ++e) {
    // Of the mixture that chooses one, all others switched off by rows that never win.
    auto refit = with_gates_refitted(mixture_, model_.sockets(), read(), losses_of(2));
    const auto alone = expert_alone(mixture_, model_.sockets(), e);
    mixture_.unplug(model_.sockets());
    alone->plug(model_.sockets());
    const at::Tensor expected = model_.forward(document(0));
    alone->unplug(model_.sockets());
    {
      const at::NoGradGuard no_grad;  // equal logits: the first expert is chosen
      for (const auto& gate : refit.mixture->gates()) gate->tensors()[0].tensor.zero_();
    }
    refit.mixture->plug(model_.sockets());
    const at::Tensor first = model_.forward(document(0));
    refit.mixture->unplug(model_.sockets());
    mixture_.plug(model_.sockets());
    EXPECT_EQ(max_difference(first, expected) < 1e-12, e == 0) << e;
  }
}

TEST_P(RefitGates, WithoutClustersNothingChanges) {
  mixture::DocumentContexts same(mixture_);
  nn::RouterLog log;
  log.keeps_inputs = true;
  nn::ForwardContext context;
  context.router_log = &log;
  model_.forward(document(0), context);
  for (int64_t n = 0; n < kDocuments; ++n) same.add(log);
  const at::Tensor before = mixture_.gates()[0]->tensors()[0].tensor.detach().clone();
  EXPECT_THROW(with_gates_refitted(mixture_, model_.sockets(), same, losses_of(0)), Error);
  EXPECT_TRUE(at::equal(mixture_.gates()[0]->tensors()[0].tensor, before));
}

}  // namespace
}  // namespace lmoe::test
