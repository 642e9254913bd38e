// One LoRA without a gate for projections beside the mixture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "mixture/site_bank.h"
#include "spec/method_info.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using ::testing::HasSubstr;

spec::MixtureSpec with_plain(std::vector<std::string> targets) {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.target_modules = {"gate_proj", "up_proj", "v_proj"};
  spec.experts.count = 2;
  spec.experts.rank = 2;
  spec.plain.target_modules = std::move(targets);
  spec.plain.rank = 3;
  spec.plain.alpha = 6;
  return spec;
}

std::string refusal(const spec::MixtureSpec& spec) {
  const TinyModel model(1);
  try {
    const mixture::Mixture mixture(spec, model.groups(), 3);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

TEST(Plain, AddsOneLoraToEachProjectionEvenInAGroupWithExperts) {
  const TinyModel model(1);
  mixture::Mixture mixture(with_plain({"q_proj", "o_proj"}), model.groups(), 3, at::kDouble);
  mixture.plug(model.groups());
  randomize(mixture, 5);
  ASSERT_EQ(mixture.plain_banks().size(), 2U);
  const at::Tensor x = numbers({4, kHidden}, 1, at::kDouble);
  nn::ForwardContext context;
  const at::Tensor q = model.groups()[0]->forward({x, x}, context)[0];
  const nn::FrozenLinear& frozen = model.groups()[0]->linears()[0];
  const mixture::ExpertFactors lora = mixture.plain_banks()[0]->bank().folder_factors(0, 0);
  const at::Tensor expected = at::linear(x, frozen.weight.expand(), frozen.bias) +
                              6.0 / 3.0 * at::linear(at::linear(x, lora.a), lora.b);
  EXPECT_LT(max_difference(q, expected), 1e-13);
}

TEST(Plain, StaysWhenAnExpertIsDisabled) {
  const TinyModel model(1);
  mixture::Mixture mixture(with_plain({"q_proj"}), model.groups(), 3, at::kDouble);
  mixture.plug(model.groups());
  randomize(mixture, 5);
  const at::Tensor x = numbers({4, kHidden}, 1, at::kDouble);
  nn::ForwardContext all, without;
  without.disabled_expert = 0;
  const auto before = model.groups()[0]->forward({x, x}, all);
  const auto after = model.groups()[0]->forward({x, x}, without);
  EXPECT_TRUE(at::equal(before[0], after[0])) << "q_proj, plain";
  EXPECT_FALSE(at::equal(before[2], after[2])) << "v_proj, experts";
}

TEST(Plain, IsSavedAsOnePeftFolderAmongTheExperts) {
  const TinyModel model(2, at::kFloat);
  mixture::Mixture mixture(with_plain({"q_proj", "o_proj"}), model.groups(), 3);
  randomize(mixture, 5);
  const TempFolder folder;
  mixture.save(folder.path(), "tiny");
  const io::LoraFolder plain = io::read_peft_folder(folder.path() / "experts" / "plain");
  EXPECT_EQ(plain.config.rank, 3);
  EXPECT_EQ(plain.config.alpha, 6);
  EXPECT_THAT(plain.config.target_modules, ::testing::ElementsAre("q_proj", "o_proj"));
  EXPECT_EQ(plain.pairs.size(), 4U);
  fs::remove_all(folder.path() / "experts" / "plain");
  try {
    mixture::Mixture::load(folder.path(), model.groups());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptData);
    EXPECT_THAT(error.what(), HasSubstr("plain is missing"));
  }
}

TEST(Plain, TakesNoDrawsFromTheExperts) {
  const TinyModel model(1);
  spec::MixtureSpec without = with_plain({});
  const mixture::Mixture a(with_plain({"q_proj"}), model.groups(), 3),
      b(without, model.groups(), 3);
  const auto with_parameters = a.parameters(), parameters = b.parameters();
  ASSERT_EQ(with_parameters.size(), parameters.size() + 2);
  for (size_t i = 0; i < parameters.size(); ++i)
    EXPECT_TRUE(at::equal(parameters[i].tensor, with_parameters[i].tensor)) << parameters[i].name;
  EXPECT_EQ(with_parameters.back().name, "layers.0.self_attn.q_proj.lora_B");
}

TEST(Plain, RefusesWhatContradictsTheExperts) {
  EXPECT_EQ(refusal(with_plain({"q_proj"})), "accepted");
  EXPECT_THAT(refusal(with_plain({"v_proj"})),
              HasSubstr("given \"v_proj\", which mixture.target_"));
  EXPECT_THAT(
      refusal(with_plain({"self_attn.v_proj"})),
      HasSubstr("model.layers.0.self_attn.v_proj is named by mixture.target_modules and by"));
  EXPECT_THAT(refusal(with_plain({"q_proj", "q_proj"})), HasSubstr("names \"q_proj\" twice"));
  EXPECT_THAT(refusal(with_plain({"query"})), HasSubstr("given query, expected some of"));
  spec::MixtureSpec named = with_plain({"q_proj"});
  named.experts.names = {"math", "plain"};
  EXPECT_THAT(refusal(named), HasSubstr("given \"plain\", the folder of"));
}

}  // namespace
}  // namespace lmoe::test
