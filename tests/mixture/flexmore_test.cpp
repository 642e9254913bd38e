// FFNs cut down to LoRAs of unequal ranks beside the untouched one: arXiv 2602.08818.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/change_experts.h"
#include "mixture/ffn_experts.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;

constexpr int64_t kTokens = 6;

class FlexMore : public ::testing::Test {
 protected:
  FlexMore() : model_(2), input_(numbers({kTokens, kHidden}, 1, at::kDouble)) {
    for (const int rank : {1, 3, 2}) adapter_of_rank(rank);
  }

  /// What `lmoe extract` writes: alpha is the rank.
  void adapter_of_rank(int rank) {
    Mixture lora(
        read_section(concat("{method: lora, experts: {rank: ", rank, ", alpha: ", rank,
                            ", names: [only]}, target_modules: [gate_proj, up_proj, down_proj]}")),
        model_.sockets(), 3, at::kDouble);
    randomize(lora, 50 + static_cast<uint64_t>(rank));
    const fs::path run = folder_.path() / std::to_string(rank);
    fs::create_directories(run);
    lora.save(run, "tiny");
  }
  std::string adapter(int rank) const {
    return (folder_.path() / std::to_string(rank) / "experts" / "only").string();
  }

  std::unique_ptr<Mixture> mixture_of(const std::string& adapters,
                                      const std::string& rest = "") const {
    const spec::MixtureSpec spec = mixture::with_adapters(
        read_section(concat("{method: flexmore, adapters: {", adapters, "}", rest, "}")));
    auto mixture = std::make_unique<Mixture>(spec, model_.sockets(), 3, at::kDouble);
    mixture::begin_with_adapters(*mixture);
    return mixture;
  }
  std::unique_ptr<Mixture> mixture_of_three() const {
    return mixture_of(concat("public: base, math: ", adapter(1), ", code: ", adapter(3)));
  }

  at::Tensor forward(Mixture& mixture, nn::ForwardContext context = {}) const {
    const at::NoGradGuard no_grad;
    mixture.plug(model_.sockets());
    at::Tensor out = model_.forward(input_, context);
    mixture.unplug(model_.sockets());
    return out;
  }

  TinyModel model_;
  at::Tensor input_;
  TempFolder folder_;
};

TEST_F(FlexMore, RankZeroIsThePublicFfnBitForBit) {
  const auto mixture = mixture_of(concat("public: base, math: ", adapter(3)), ", select: {k: 1}");
  EXPECT_EQ(mixture->spec().experts.rank, 3);
  nn::ForwardContext alone;
  alone.disabled_expert = 1;
  EXPECT_TRUE(at::equal(forward(*mixture, alone), model_.forward(input_)));
  alone.disabled_expert = 0;
  EXPECT_GT(max_difference(forward(*mixture, alone), model_.forward(input_)), 1e-2);
}

TEST_F(FlexMore, AnExpertOfFullWeightIsItsAdapterWhateverItsRank) {
  for (const int rank : {1, 3}) {
    const auto mixture =
        mixture_of(concat("public: base, math: ", adapter(rank)), ", select: {k: 1}");
    Mixture lora(
        read_section(concat("{method: lora, experts: {rank: ", rank, ", alpha: ", rank,
                            ", names: [only]}, target_modules: [gate_proj, up_proj, down_proj]}")),
        model_.sockets(), 3, at::kDouble);
    randomize(lora, 50 + static_cast<uint64_t>(rank));
    nn::ForwardContext alone;
    alone.disabled_expert = 0;
    EXPECT_LT(max_difference(forward(*mixture, alone), forward(lora)), 1e-13);
  }
}

TEST_F(FlexMore, WithoutDifferencesTheKeptWeightsScaleThePublicFfn) {
  const Mixture mixture(read_section("{method: flexmore, experts: {count: 4, rank: 2}}"),
                        model_.sockets(), 3, at::kDouble);
  const auto& experts = mixture.ffn_experts().front();
  const nn::GatedMlp& mlp = *model_.sockets().mlps[experts->block()];
  nn::RouterLog log;
  nn::ForwardContext context, plain;
  context.router_log = &log;
  const at::Tensor kept_sum = [&] {
    experts->apply(input_, mlp, context);
    return log.records[0].weights.sum(1, /*keepdim=*/true);
  }();
  EXPECT_LT(kept_sum.max().item<double>(), 1.0);
  EXPECT_LT(max_difference(experts->apply(input_, mlp, plain),
                           kept_sum * mlp.forward_alone(input_, plain)),
            1e-14);
}

TEST_F(FlexMore, PermutingExpertsAndRowsTogetherChangesNothing) {
  const auto one = mixture_of_three();
  const auto other = mixture_of(concat("code: ", adapter(3), ", public: base, math: ", adapter(1)));
  const std::vector<int64_t> from = {2, 0, 1};  // code, public, math of `one`
  const at::NoGradGuard no_grad;
  for (size_t g = 0; g < one->gates().size(); ++g)
    other->gates()[g]->tensors()[0].tensor.copy_(
        one->gates()[g]->tensors()[0].tensor.index_select(0, at::tensor(from, at::kLong)));
  EXPECT_LT(max_difference(forward(*one), forward(*other)), 1e-13);
}

TEST_F(FlexMore, OnlyTheGateLearns) {
  const auto mixture = mixture_of_three();
  mixture->advance_to(0.0);
  mixture->plug(model_.sockets());
  model_.forward(input_).sum().backward();
  for (const nn::NamedTensor& parameter : mixture->parameters()) {
    const bool is_gate = parameter.name.find(".gate.") != std::string::npos;
    EXPECT_EQ(parameter.tensor.grad().defined(), is_gate) << parameter.name;
  }
}

TEST_F(FlexMore, ThePublicExpertStaysPublicWhenExpertsLearn) {
  const auto mixture = mixture_of_three();
  mixture->plug(model_.sockets());
  model_.forward(input_).square().sum().backward();
  for (const mixture::ExpertBank* bank : mixture->expert_banks()) {
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const int64_t rows = bank->a().size(0) / std::ssize(bank->targets());
      const at::Tensor own = bank->a().grad().narrow(0, static_cast<int64_t>(t) * rows, 3);
      EXPECT_EQ(own.abs().max().item<double>(), 0.0);
      EXPECT_EQ(bank->b_rows(t).grad().narrow(0, 0, 3).abs().max().item<double>(), 0.0);
      EXPECT_GT(bank->b_rows(t).grad().abs().max().item<double>(), 0.0);
    }
  }
}

TEST_F(FlexMore, AnotherExpertOfAnotherRankLeavesTheOthersAlone) {
  const auto before = mixture_of_three();
  const auto larger = mixture::with_expert_added(*before, model_.sockets(), "law", adapter(2),
                                                 /*rows=*/{});
  EXPECT_EQ(larger->spec().expert_names(),
            (std::vector<std::string>{"public", "math", "code", "law"}));
  for (size_t i = 0; i < before->expert_banks().size(); ++i) {
    const mixture::ExpertBank &old = *before->expert_banks()[i], &now = *larger->expert_banks()[i];
    for (size_t t = 0; t < old.targets().size(); ++t) {
      for (int64_t e = 0; e < 3; ++e) {
        EXPECT_TRUE(at::equal(old.folder_factors(t, e).a, now.folder_factors(t, e).a));
        EXPECT_TRUE(at::equal(old.folder_factors(t, e).b, now.folder_factors(t, e).b));
      }
      EXPECT_GT(now.folder_factors(t, 3).b.abs().max().item<double>(), 0.0);
      EXPECT_EQ(now.folder_factors(t, 3).b.select(1, 2).abs().max().item<double>(), 0.0);
    }
  }
  nn::ForwardContext without;
  without.disabled_expert = 3;
  EXPECT_TRUE(at::equal(forward(*larger, without), forward(*before)));
  EXPECT_GT(max_difference(forward(*larger), forward(*before)), 1e-3);
  const auto again = mixture::with_expert_removed(*larger, model_.sockets(), "law");
  EXPECT_TRUE(at::equal(forward(*again), forward(*before)));
  EXPECT_THROW(mixture::with_expert_added(*mixture_of(concat("a: base, b: ", adapter(1))),
                                          model_.sockets(), "wide", adapter(3), {}),
               Error);
}

TEST_F(FlexMore, BaseAloneIsNoMixture) {
  EXPECT_THROW(read_section("{method: flexmore, adapters: {a: base, b: base}}"), Error);
}

}  // namespace
}  // namespace lmoe::test
