// Mixtures over finished adapters: x-lora.md, lora-soups.md, meteora.md; what their cards promise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"
#include "mixture/normalize.h"
#include "mixture/select.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTokens = 5;

/// Two LoRAs of rank 2 and 3 with scalings of their own, and what each does alone.
class Adapters : public ::testing::Test {
 protected:
  Adapters() : model_(2) {
    for (int i = 0; i < 2; ++i) {
      const int rank = 2 + i;
      mixture::Mixture lora(
          read_section(concat("{method: lora, experts: {rank: ", rank, ", alpha: ", 5 - 3 * i,
                              ", names: [only]}, target_modules: [q_proj, o_proj, up_proj]}")),
          model_.sockets(), 3, at::kDouble);
      randomize(lora, 5 + static_cast<uint64_t>(i));
      const fs::path run = folder_.path() / std::to_string(i);
      fs::create_directories(run);
      lora.save(run, "tiny");
      paths_.push_back((run / "experts" / "only").string());
      lora.plug(model_.sockets());
      alone_.push_back(model_.forward(input()));
      lora.unplug(model_.sockets());
    }
  }

  static at::Tensor input() { return numbers({kTokens, kHidden}, 1, at::kDouble); }

  spec::MixtureSpec over(const std::string& method, const std::string& rest = "") const {
    return mixture::with_adapters(
        read_section(concat("{method: ", method, ", adapters: {math: ", paths_[0],
                            ", code: ", paths_[1], "}", rest, "}")));
  }

  std::unique_ptr<mixture::Mixture> begin(const spec::MixtureSpec& spec) const {
    auto mixture = std::make_unique<mixture::Mixture>(spec, model_.sockets(), 3, at::kDouble);
    mixture::begin_with_adapters(*mixture);
    return mixture;
  }

  at::Tensor forward(mixture::Mixture& mixture) const {
    mixture.plug(model_.sockets());
    at::Tensor out = model_.forward(input());
    mixture.unplug(model_.sockets());
    return out;
  }

  TinyModel model_;
  TempFolder folder_;
  std::vector<std::string> paths_;
  std::vector<at::Tensor> alone_;
};

TEST_F(Adapters, KeepTheirNamesAndGiveRankAndTargets) {
  const spec::MixtureSpec spec = over("x-lora");
  EXPECT_EQ(spec.expert_names(), (std::vector<std::string>{"math", "code"}));
  EXPECT_EQ(spec.experts.count, 2);
  EXPECT_EQ(spec.experts.rank, 3);
  EXPECT_THAT(spec.target_modules, ::testing::UnorderedElementsAre("q_proj", "o_proj", "up_proj"));
}

TEST_F(Adapters, OneOfFullWeightEqualsThatAdapterWhateverItsRankAndScaling) {
  const auto mixture = begin(over("cat"));
  for (int which = 0; which < 2; ++which) {
    const at::NoGradGuard no_grad;
    for (const auto& gate : mixture->gates()) {
      at::Tensor numbers = gate->parameters()[0].tensor;
      numbers.fill_(-1e3);
      for (int64_t row = which; row < numbers.size(0); row += 2) numbers[row].fill_(1e3);
    }
    EXPECT_LT(max_difference(forward(*mixture), alone_[static_cast<size_t>(which)]), 1e-12);
  }
}

TEST_F(Adapters, XLoraWithoutAnyWeightIsTheBase) {
  const auto mixture = begin(over("x-lora", ", normalize: logits"));
  const at::NoGradGuard no_grad;
  for (const nn::NamedTensor& parameter : mixture->gates()[0]->parameters())
    at::Tensor(parameter.tensor).zero_();
  EXPECT_LT(max_difference(forward(*mixture), model_.forward(input())), 1e-15);
}

TEST_F(Adapters, OnlyGatesLearnWhileExpertsAreFrozen) {
  const auto mixture = begin(over("cat"));
  mixture->advance_to(0.0);
  mixture->plug(model_.sockets());
  model_.forward(input()).sum().backward();
  for (const nn::NamedTensor& parameter : mixture->parameters()) {
    const bool is_gate = parameter.name.find(".gate.") != std::string::npos;
    EXPECT_EQ(parameter.tensor.grad().defined(), is_gate) << parameter.name;
  }
}

TEST_F(Adapters, ZerosThatFillUpASmallerRankStayZeros) {
  const auto mixture = begin(over("k-shot"));
  mixture->plug(model_.sockets());
  model_.forward(input()).square().sum().backward();
  const mixture::ExpertBank& bank = mixture->banks()[0]->bank();
  EXPECT_EQ(bank.a().grad()[2].abs().max().item<double>(), 0.0);  // third row of the first expert
  EXPECT_EQ(bank.b_rows(0).grad().select(0, 2).abs().max().item<double>(), 0.0);
  EXPECT_GT(bank.a().grad()[1].abs().max().item<double>(), 0.0);
}

TEST_F(Adapters, OfOtherProjectionsOrNowhereAreRefused) {
  mixture::Mixture other(
      read_section("{method: lora, experts: {rank: 2}, target_modules: [v_proj]}"),
      model_.sockets(), 3);
  fs::create_directories(folder_.path() / "other");
  other.save(folder_.path() / "other", "tiny");
  const auto refusal_with = [&](const std::string& path) {
    return refusal([&] {
      mixture::with_adapters(
          read_section(concat("{method: x-lora, adapters: {a: ", paths_[0], ", b: ", path, "}}")));
    });
  };
  EXPECT_THAT(refusal_with((folder_.path() / "other" / "experts" / "expert0").string()),
              HasSubstr("adapts other projections than"));
  EXPECT_THAT(refusal_with("nowhere"), HasSubstr("no such adapter: given nowhere"));
}

TEST(XLoraWeights, MaskAndSoftenAsTheCardSays) {
  spec::MixtureSpec spec = read_section("{method: x-lora, experts: {count: 3}}");
  const at::Tensor logits = at::tensor({1., 2., 0.}, at::kDouble);
  const auto weights = [&](std::optional<int64_t> k, spec::Normalize normalize) {
    spec::SelectSpec select;
    if (k) select = {spec::SelectKind::kTopK, *k};
    const mixture::Scores scores =
        mixture::make_scores(logits, {}, spec::BiasUse::kNone, normalize);
    return mixture::routing_weights(scores, mixture::select_experts(scores, select), normalize);
  };
  const auto near = [](const at::Tensor& given, const std::vector<double>& expected) {
    EXPECT_LT(max_difference(given, at::tensor(expected, at::kDouble)), 1e-5);
  };
  near(weights({}, spec::Normalize::kSoftmax), {0.24473, 0.66524, 0.09003});
  near(weights(2, spec::Normalize::kSoftmax), {0.24473, 0.66524, 0});
  near(weights(2, spec::Normalize::kSoftmaxTwice), {0.39639, 0.60361, 0});
}

TEST(XLoraWeights, TopKOnlyMasksUnlessTheRecipeSaysMore) {
  EXPECT_EQ(read_section("{method: x-lora, top_k_lora: 2}").normalize, spec::Normalize::kSoftmax);
}

}  // namespace
}  // namespace lmoe::test
