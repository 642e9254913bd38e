// Experts added, removed and replaced: what must stay as it was, and what the new one's gate says.
#include "mixture/change_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "spec/method_info.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::GateRows;
using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 9;
constexpr double kTolerance = 1e-12;

spec::MixtureSpec spec_of(const std::string& section) {
  return read_section("experts: {count: 3, rank: 2, names: [math, code, prose]}\n" + section);
}

class ChangeExperts : public ::testing::TestWithParam<const char*> {
 protected:
  ChangeExperts() : model_(2), mixture_(spec_of(GetParam()), model_.groups(), 3, at::kDouble) {
    randomize(mixture_, 5);
  }

  /// Outputs with `mixture` plugged in, and without the expert `disabled`.
  at::Tensor forward(Mixture& mixture, int disabled = -1) const {
    const at::NoGradGuard no_grad;
    nn::ForwardContext context;
    context.disabled_expert = disabled;
    return forward(mixture, context);
  }

  at::Tensor forward(Mixture& mixture, nn::ForwardContext& context) const {
    const at::NoGradGuard no_grad;
    mixture.plug(model_.groups());
    at::Tensor out = model_.forward(numbers({kTokens, kHidden}, 1, at::kDouble), context);
    mixture.unplug(model_.groups());
    return out;
  }

  /// The folder of an expert of another mixture of the same shape.
  fs::path adapter(const std::string& section = "") const {
    Mixture other(spec_of(section.empty() ? GetParam() : section), model_.groups(), 17,
                  at::kDouble);
    randomize(other, 23);
    fs::create_directories(folder_.path() / "other");
    other.save(folder_.path() / "other", "tiny");
    return folder_.path() / "other" / "experts" / "code";
  }

  TinyModel model_;
  Mixture mixture_;
  TempFolder folder_;
};

/// Where all experts take part.
class ChangeExpertsOfAll : public ChangeExperts {};

TEST_P(ChangeExpertsOfAll, RemovingOneIsSwitchingItOff) {
  const auto smaller = with_expert_removed(mixture_, model_.groups(), "code");
  EXPECT_EQ(smaller->spec().experts.names, (std::vector<std::string>{"math", "prose"}));
  EXPECT_LT(max_difference(forward(*smaller), forward(mixture_, 1)), kTolerance);
}

TEST_P(ChangeExperts, WhatIsAddedAndRemovedLeavesNoTrace) {
  const at::Tensor before = forward(mixture_);
  const auto larger = with_expert_added(mixture_, model_.groups(), "new", adapter(), {});
  EXPECT_GT(max_difference(forward(*larger), before), 1e-3);
  const auto again = with_expert_removed(*larger, model_.groups(), "new");
  EXPECT_TRUE(at::equal(forward(*again), before));
  EXPECT_EQ(spec::write_mixture(again->spec()), spec::write_mixture(mixture_.spec()));
}

TEST_P(ChangeExperts, OthersKeepTheirRelativeWeights) {
  nn::RouterLog before, after;
  nn::ForwardContext context, later;
  context.router_log = &before;
  later.router_log = &after;
  forward(mixture_, context);
  const auto larger = with_expert_added(mixture_, model_.groups(), "new", adapter(), {});
  forward(*larger, later);
  // The first gate of the model reads the same in both.
  const at::Tensor old = before.records[0].probabilities, now = after.records[0].probabilities;
  const at::Tensor ratios = now.narrow(1, 0, 3) / old;
  EXPECT_LT(max_difference(ratios, ratios.narrow(1, 0, 1).expand_as(ratios)), kTolerance);
}

TEST_P(ChangeExperts, ReplacedByItselfItStaysTheSame) {
  fs::create_directories(folder_.path() / "run");
  mixture_.save(folder_.path() / "run", "tiny");
  const auto same = with_expert_replaced(mixture_, model_.groups(), "prose",
                                         folder_.path() / "run" / "experts" / "prose");
  EXPECT_TRUE(at::equal(forward(*same), forward(mixture_)));
  const auto other = with_expert_replaced(mixture_, model_.groups(), "prose", adapter());
  EXPECT_GT(max_difference(forward(*other), forward(mixture_)), 1e-3);
  EXPECT_LT(max_difference(forward(*other, 2), forward(mixture_, 2)), kTolerance);
}

TEST_P(ChangeExperts, OnItsSamplesANewExpertAnswersLikeTheLargest) {
  nn::RouterLog log;
  log.keeps_inputs = true;
  nn::ForwardContext context;
  context.router_log = &log;
  forward(mixture_, context);
  mixture::GateInputs inputs(mixture_);
  inputs.add(log);
  const GateRows rows = inputs.rows();
  ASSERT_EQ(rows.size(), mixture_.sites().size());
  size_t site = 0;
  for (const auto& gate : mixture_.gates()) {
    for (size_t s = 0; s < gate->sites().size(); ++s, ++site) {
      const at::Tensor input = log.records[site].input;
      ASSERT_EQ(log.records[site].site, gate->sites()[s].name);
      const at::Tensor own =
          gate->tensors()[0].tensor.detach().narrow(0, 3 * static_cast<int64_t>(s), 3);
      const double largest = at::matmul(input, own.t()).amax(1).mean().item<double>();
      const at::Tensor& row = rows.at(gate->sites()[s].name);
      EXPECT_NEAR(at::matmul(input, row).mean().item<double>(), largest, 1e-9);
      // Along the mean input and nowhere else.
      const at::Tensor mean = input.mean(0);
      EXPECT_LT(max_difference(row * mean.dot(mean), mean * mean.dot(row)), 1e-9);
    }
  }
  const auto larger = with_expert_added(mixture_, model_.groups(), "new", adapter(), rows);
  for (const auto& gate : larger->gates()) {
    const at::Tensor weight = gate->tensors()[0].tensor;
    EXPECT_LT(max_difference(weight[3], rows.at(gate->sites()[0].name)), kTolerance);
  }
}

TEST_P(ChangeExperts, AnotherScalingGoesIntoB) {
  const std::string section =
      "experts: {count: 3, rank: 2, names: [math, code, prose], alpha: 12}\n" +
      std::string(GetParam());
  Mixture other(read_section(section), model_.groups(), 17, at::kDouble);
  randomize(other, 23);
  other.save(folder_.path(), "tiny");
  const auto changed =
      with_expert_replaced(mixture_, model_.groups(), "math", folder_.path() / "experts" / "math");
  const double ratio = other.spec().scaling() / mixture_.spec().scaling();
  ASSERT_NE(ratio, 1.0);
  const auto given = other.banks()[0]->bank().folder_factors(0, 0);
  const auto own = changed->banks()[0]->bank().folder_factors(0, 0);
  EXPECT_TRUE(at::equal(own.a, given.a));
  EXPECT_LT(max_difference(own.b, given.b * ratio), kTolerance);
}

// Switched off, an expert that was chosen leaves its place empty; removed, the next one takes it.
TEST(ChangedTopK, OnlyTokensThatChoseTheRemovedOneNotice) {
  const TinyModel model(1);
  Mixture mixture(spec_of("select: {kind: top_k, k: 1}\nnormalize: renormalize\n"
                          "target_modules: [down_proj]"),
                  model.groups(), 3, at::kDouble);
  randomize(mixture, 5);
  const auto forward = [&](Mixture& one, nn::RouterLog& log) {
    const at::NoGradGuard no_grad;
    nn::ForwardContext context;
    context.router_log = &log;
    one.plug(model.groups());
    at::Tensor out = model.forward(numbers({40, kHidden}, 1, at::kDouble), context);
    one.unplug(model.groups());
    return out;
  };
  nn::RouterLog before, after;
  const at::Tensor all = forward(mixture, before);
  const auto smaller = with_expert_removed(mixture, model.groups(), "code");
  const at::Tensor rest = forward(*smaller, after);
  const at::Tensor chose_it = before.records[0].weights.select(1, 1) > 0;
  const at::Tensor difference = (all - rest).abs().amax(1);
  EXPECT_LT(difference.masked_select(~chose_it).max().item<double>(), kTolerance);
  EXPECT_GT(difference.masked_select(chose_it).min().item<double>(), 1e-6);
  const at::Tensor left = at::stack(
      {before.records[0].probabilities.select(1, 0), before.records[0].probabilities.select(1, 2)},
      1);
  EXPECT_TRUE(at::equal(after.records[0].weights.argmax(1), left.argmax(1)));
}

INSTANTIATE_TEST_SUITE_P(Variants,
                         ChangeExpertsOfAll,
                         ::testing::Values("",
                                           "gate: {source: block_input, share: block}",
                                           "apply: factors"));

INSTANTIATE_TEST_SUITE_P(Variants,
                         ChangeExperts,
                         ::testing::Values("",
                                           "gate: {source: block_input, share: block}",
                                           "select: {kind: top_k, k: 1}\nnormalize: renormalize",
                                           "apply: factors"));

TEST(ChangedSpec, DeltasKeepTheirScale) {
  const TinyModel model(2);
  spec::MixtureSpec spec = spec_of("");
  spec.experts.scale_by = spec::ScaleBy::kCount;
  spec.experts.alpha = 6;
  const Mixture mixture(spec, model.groups(), 3, at::kDouble);
  const auto smaller = with_expert_removed(mixture, model.groups(), "math");
  EXPECT_DOUBLE_EQ(smaller->spec().scaling(), mixture.spec().scaling());
}

TEST(ChangedSpec, FrozenNamesFollowTheExperts) {
  const TinyModel model(2);
  const Mixture mixture(spec_of(""), model.groups(), 3, at::kDouble);
  const auto frozen = with_expert_frozen(mixture, model.groups(), "code");
  EXPECT_EQ(frozen->spec().experts.frozen, std::vector<std::string>{"code"});
  // A of four groups per layer; B of seven projections.
  EXPECT_EQ(frozen->frozen_parts().size(), 2u * 2u * 7u);
  EXPECT_TRUE(with_expert_removed(*frozen, model.groups(), "code")->spec().experts.frozen.empty());
  EXPECT_THROW(with_expert_frozen(*frozen, model.groups(), "code"), Error);
}

class Refused : public ::testing::Test {
 protected:
  template <class Change>
  static Error error_of(const Change& change) {
    try {
      change();
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kInternal, "no error");
  }
  TinyModel model_{2};
  TempFolder folder_;
};

TEST_F(Refused, MixturesWhoseExpertsAreNoUnits) {
  for (const auto& [section, why] : std::vector<std::pair<std::string, std::string>>{
           {"method: lora", "no router"},
           {"method: comol\nexperts: {rank: 2}\ntarget_modules: [q_proj]", "core"},
           {"method: smora\nnum_experts: 9", "rank_one"},
           {"method: hydra", "shared_a"},
           {"method: mola", "different numbers"},
           {"gate: {net: mlp}", "mlp"}}) {
    const Mixture mixture(read_section(section), model_.groups(), 3);
    const Error error = error_of([&] { with_expert_removed(mixture, model_.groups(), "expert0"); });
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << section;
    EXPECT_THAT(error.what(), HasSubstr(why));
  }
}

TEST_F(Refused, NamesThatAreTakenOrUnknownAndTooFewExperts) {
  const Mixture mixture(spec_of("select: {kind: top_k, k: 3}"), model_.groups(), 3);
  const auto& groups = model_.groups();
  EXPECT_THAT(error_of([&] { with_expert_removed(mixture, groups, "maths"); }).what(),
              HasSubstr("nearest is \"math\""));
  EXPECT_THAT(error_of([&] { with_expert_removed(mixture, groups, "math"); }).what(),
              HasSubstr("mixture.select.k"));
  EXPECT_THAT(error_of([&] { with_expert_added(mixture, groups, "math", "none", {}); }).what(),
              HasSubstr("already"));
}

TEST_F(Refused, AdaptersThatDoNotFit) {
  const auto save = [&](const std::string& name, const std::string& section) {
    Mixture other(read_section(section), model_.groups(), 3);
    fs::create_directories(folder_.path() / name);
    other.save(folder_.path() / name, "tiny");
    return folder_.path() / name / "experts" / "expert0";
  };
  const Mixture mixture(spec_of(""), model_.groups(), 3);
  const auto add = [&](const fs::path& adapter) {
    return error_of([&] { with_expert_added(mixture, model_.groups(), "new", adapter, {}); });
  };
  EXPECT_THAT(add(save("rank", "experts: {count: 2, rank: 3}")).what(), HasSubstr("another rank"));
  EXPECT_THAT(add(save("targets", "experts: {count: 2, rank: 2}\ntarget_modules: [q_proj]")).what(),
              HasSubstr("has no module"));
  EXPECT_EQ(add(folder_.path() / "nothing").code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace lmoe::test
