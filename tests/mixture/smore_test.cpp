// The acceptance invariants of S'MoRE. That an expert's product is made once and not at every node,
// and that gradients at a fixed tree are right, is what the conformance suite compares with its
// reference, which makes everything anew at each node.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "spec/site_cost.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kIn = 6, kOut = 7, kTokens = 5, kExperts = 3, kRank = 2;

spec::MixtureSpec spec_of(const std::string& changes) {
  return read_section(
      "{method: smore, target_modules: [up_proj], gate: {hidden_size: 4}, losses: [], " + changes +
      "}");
}

/// One projection with its mixture, parameters random.
struct Site {
  explicit Site(const std::string& changes)
      : spec(spec_of(changes)),
        group(
            0,
            "mlp",
            {{"up_proj", "model.layers.0.mlp.up_proj", numbers({kOut, kIn}, 1, at::kDouble), {}}}),
        mixture(spec, std::vector{&group}, 3, at::kDouble) {
    randomize(mixture, 5);
  }

  const mixture::ExpertBank& bank() const { return mixture.banks()[0]->bank(); }
  at::Tensor tensor(const std::string& suffix) const {
    for (const nn::NamedTensor& named : bank().other_tensors())
      if (named.name == "layers.0.mlp.up_proj." + suffix) return named.tensor.detach();
    throw std::runtime_error("no tensor " + suffix);
  }
  /// B_l^n A_l^n, [(l + 1) E R, in]
  at::Tensor product(int64_t level, int64_t n) const {
    const int64_t first = (level * kExperts + n) * kRank;
    return at::matmul(tensor("level" + std::to_string(level) + ".up")[n],
                      tensor("down").slice(0, first, first + kRank));
  }
  /// What the mixture adds for x when the choices have these weights [N, Q, E].
  at::Tensor delta(const at::Tensor& x, const at::Tensor& weights) const {
    const at::Tensor zero = at::zeros({x.size(0), kOut}, at::kDouble) + 0.0 * x.sum();
    return bank().project({x, false, at::linear(x, bank().a()), weights}, {zero})[0].detach();
  }

  spec::MixtureSpec spec;
  nn::ProjectionGroup group;
  mixture::Mixture mixture;
};

const char* const kOneLevel = "experts: {count: 3, rank: 2, levels: 1, activation: identity}";
const char* const kTwoLevels = "experts: {count: 3, rank: 2, levels: 2, activation: identity}";
const char* const kTwoTanh = "experts: {count: 3, rank: 2, levels: 2, activation: tanh}";

TEST(Smore, WithAZeroProjectionNothingIsAdded) {
  const Site site(kTwoTanh);
  site.tensor("projection").zero_();
  const at::Tensor x = numbers({kTokens, kIn}, 2, at::kDouble);
  EXPECT_EQ(site.delta(x, at::ones({kTokens, 4, kExperts}, at::kDouble)).abs().max().item<double>(),
            0.0);
}

TEST(Smore, OneLevelWithSelectorsIsAFlatMixtureOfLoras) {
  const Site site(kOneLevel);
  for (int64_t n = 0; n < kExperts; ++n) {  // B_0^n puts its numbers into its own block
    site.tensor("level0.up")[n].zero_();
    site.tensor("level0.up")[n].slice(0, n * kRank, (n + 1) * kRank).copy_(at::eye(kRank));
  }
  const at::Tensor x = numbers({kTokens, kIn}, 2, at::kDouble);
  const at::Tensor weights = at::softmax(numbers({kTokens, 1, kExperts}, 3, at::kDouble), -1);
  at::Tensor flat = at::zeros({kTokens, kOut}, at::kDouble);
  for (int64_t n = 0; n < kExperts; ++n) {
    const at::Tensor a = site.tensor("down").slice(0, n * kRank, (n + 1) * kRank);
    const at::Tensor b = site.tensor("projection").slice(1, n * kRank, (n + 1) * kRank);
    flat += weights.select(1, 0).slice(1, n, n + 1) * at::linear(at::linear(x, a), b);
  }
  EXPECT_LT(max_difference(site.delta(x, weights), flat), 1e-13);
}

TEST(Smore, WithoutActivationTwoLevelsCollapseToPathProducts) {
  const Site site(kTwoLevels);
  const at::Tensor x = numbers({kTokens, kIn}, 2, at::kDouble);
  const at::Tensor weights = at::softmax(numbers({kTokens, 4, kExperts}, 3, at::kDouble), -1);
  const at::Tensor root = weights.select(1, 0);
  at::Tensor top = at::zeros({kTokens, 2 * kExperts * kRank}, at::kDouble);
  for (int64_t n = 0; n < kExperts; ++n) {
    at::Tensor leaf = at::zeros({kTokens}, at::kDouble);  // sum over the parents of products
    for (int64_t parent = 0; parent < kExperts; ++parent)
      leaf += root.select(1, parent) * weights.select(1, 1 + parent).select(1, n);
    top += root.slice(1, n, n + 1) * at::linear(x, site.product(1, n));
    top += leaf.unsqueeze(1) *
           at::linear(at::linear(x, site.product(0, n)), site.tensor("level1.carry"));
  }
  EXPECT_LT(max_difference(site.delta(x, weights), at::linear(top, site.tensor("projection"))),
            1e-12);
}

TEST(Smore, WiringMattersOnlyUnderAnActivation) {
  // Both trees give every leaf expert the same path products, through other parents.
  at::Tensor one = at::zeros({1, 4, kExperts}, at::kDouble), other = one.clone();
  for (const at::Tensor& tree : {one, other}) tree[0][0].slice(0, 0, 2).fill_(0.5);
  one[0][1][0] = one[0][2][1] = 1.0;
  other[0][1][1] = other[0][2][0] = 1.0;
  const at::Tensor x = numbers({1, kIn}, 2, at::kDouble);
  const Site linear(kTwoLevels), bent(kTwoTanh);
  EXPECT_LT(max_difference(linear.delta(x, one), linear.delta(x, other)), 1e-13);
  EXPECT_GT(max_difference(bent.delta(x, one), bent.delta(x, other)), 1e-3);
}

TEST(Smore, ParametersAreThoseOfTheFormula) {
  const Site site(kTwoTanh);
  int64_t experts = 0, gates = 0;
  for (const nn::NamedTensor& parameter : site.bank().parameters())
    experts += parameter.tensor.numel();
  for (const nn::NamedTensor& parameter : site.mixture.gates()[0]->parameters())
    gates += parameter.tensor.numel();
  const int64_t d1 = kExperts * kRank, d2 = 2 * d1;
  EXPECT_EQ(experts, kExperts * (kIn * kRank + kRank * d1) + kExperts * (kIn * kRank + kRank * d2) +
                         d1 * d2 + kOut * d2);
  EXPECT_EQ(spec::experts_cost(site.spec, kIn, kOut, kExperts).parameters, experts);
  EXPECT_EQ(spec::gate_cost(site.spec, kIn, kExperts).parameters, gates);
}

TEST(Smore, EveryGroupOfSiblingsIsASiteOfTheRouter) {
  Site site(kTwoTanh);
  std::vector<std::string> names;
  for (const mixture::SiteInfo& info : site.mixture.sites()) names.push_back(info.name);
  EXPECT_THAT(names,
              ::testing::ElementsAre("layers.0.mlp.up_proj", "layers.0.mlp.up_proj.under0",
                                     "layers.0.mlp.up_proj.under1", "layers.0.mlp.up_proj.under2"));
  site.mixture.plug(std::vector{&site.group});
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  const at::Tensor x = numbers({kTokens, kIn}, 2, at::kDouble);
  site.group.forward({x, x}, context);
  ASSERT_EQ(log.records.size(), 4u);
  EXPECT_GT(max_difference(log.records[1].probabilities, log.records[2].probabilities), 1e-6)
      << "children depend on their parent";
}

TEST(Smore, PartsThatContradictAreRefused) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal_of("{gate: {net: tree}}"), HasSubstr("need each other: given tree and lora"));
  EXPECT_THAT(refusal_of("{method: smore, gate: {net: linear, hidden_size: 64}}"),
              HasSubstr("need each other: given linear and residual"));
  EXPECT_THAT(refusal_of("{experts: {levels: 2}}"), HasSubstr("cannot act: given kind lora"));
  EXPECT_THAT(refusal_of("{method: smore, experts: {count: 16, levels: 4}}"),
              HasSubstr("at most 4096 paths"));
}

}  // namespace
}  // namespace lmoe::test
