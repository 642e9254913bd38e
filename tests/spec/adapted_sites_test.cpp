#include "spec/adapted_sites.h"

#include <gtest/gtest.h>

#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

constexpr DecoderShape kShape = {
    .layers = 4, .hidden_size = 6, .query_size = 4, .key_size = 3, .intermediate_size = 5};

TEST(AdaptedSites, LoraCostsRankTimesBothWidths) {
  MixtureSpec spec = find_method("lora").preset();
  spec.experts.rank = 2;
  const int64_t widths = (6 + 4) + 2 * (6 + 3) + (4 + 6) + 2 * (6 + 5) + (5 + 6);
  const SiteCost cost = mixture_cost(spec, kShape);
  EXPECT_EQ(cost.parameters, 4 * 2 * widths);
  EXPECT_EQ(cost.multiply_adds, cost.parameters);
  EXPECT_EQ(frozen_multiply_adds(kShape), 4 * (24 + 2 * 18 + 24 + 2 * 30 + 30));
}

TEST(AdaptedSites, CountsByLayerAndOnlyExpertsThatTakePart) {
  MixtureSpec spec = find_method("mola").preset();
  spec.target_modules = {"up_proj"};
  spec.experts.rank = 3;
  const std::vector<AdaptedSite> sites = adapted_sites(spec, kShape);
  ASSERT_EQ(sites.size(), 4u);
  for (size_t layer = 0; layer < sites.size(); ++layer) {
    EXPECT_EQ(sites[layer].experts, static_cast<int64_t>(2 * (layer + 1)));
    EXPECT_EQ(sites[layer].gate_width, 6);
  }
  const SiteCost cost = mixture_cost(spec, kShape);
  EXPECT_EQ(cost.parameters, 20 * (3 * (6 + 5) + 6));
  EXPECT_EQ(cost.multiply_adds, 4 * 2 * 3 * (6 + 5) + 20 * 6);
}

TEST(AdaptedSites, ABlockHasOneGateWhereGatesAreShared) {
  MixtureSpec spec = find_method("l-moe").preset();
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.share = GateShare::kBlock;
  spec.target_modules = {"o_proj", "gate_proj", "down_proj"};
  int gates = 0;
  for (const AdaptedSite& site : adapted_sites(spec, kShape)) {
    EXPECT_EQ(site.gate_width.has_value(), site.projection.name != "down_proj");
    EXPECT_EQ(site.gate_width.value_or(6), 6);  // the block's input, not o_proj's
    gates += site.gate_width ? 1 : 0;
  }
  EXPECT_EQ(gates, 4 * 2);
}

TEST(AdaptedSites, FinishedExpertsAreNotTrained) {
  MixtureSpec spec = find_method("l-moe").preset();
  spec.target_modules = {"q_proj"};
  spec.experts.rank = 2;
  spec.experts.count = 3;
  EXPECT_EQ(trained_parameters(spec, kShape), 4 * (3 * 2 * (6 + 4) + 3 * 6));
  spec.schedule.freeze_experts = true;
  EXPECT_EQ(trained_parameters(spec, kShape), 4 * 3 * 6) << "the gates alone";
  spec.schedule.hard_until = 0.5;
  EXPECT_EQ(trained_parameters(spec, kShape), mixture_cost(spec, kShape).parameters);
}

TEST(AdaptedSites, GatesOfCoresReadRankSpace) {
  MixtureSpec spec = find_method("comol").preset();
  spec.target_modules = {"q_proj"};
  spec.experts.rank = 2;
  spec.experts.count = 3;
  EXPECT_EQ(mixture_cost(spec, kShape).parameters, 4 * (2 * (6 + 4) + 3 * 2 * 2 + 3 * 2));
}

TEST(AdaptedSites, TargetsMayBeWholePaths) {
  MixtureSpec spec = find_method("lora").preset();
  spec.target_modules = {"model.layers.2.mlp.up_proj", "proj"};
  const std::vector<AdaptedSite> sites = adapted_sites(spec, kShape);
  ASSERT_EQ(sites.size(), 1u);
  EXPECT_EQ(sites[0].layer, 2);
}

}  // namespace
}  // namespace lmoe::spec
