#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "spec/mixture_spec.h"

namespace lmoe::spec {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

MixtureSpec read(const std::string& text, ReadReport* report = nullptr) {
  ReadReport local;
  return read_mixture(parse_config(text, "r.yaml"), report != nullptr ? *report : local);
}

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ReadMixture, StartsFromThePresetAndChangesParts) {
  const MixtureSpec spec = read(
      "method: l-moe\napply: factors\nexperts: {count: 4, names: [a, b, c, d]}\n"
      "gate: {source: block_input, share: block, net: mlp, hidden_size: 16}\n"
      "losses:\n  - {kind: kl, coef: 0.5}\n  - {kind: switch}\n");
  EXPECT_EQ(spec.apply, Apply::kFactors);
  EXPECT_EQ(spec.experts.count, 4);
  EXPECT_EQ(spec.experts.rank, 8);
  EXPECT_EQ(spec.gate.hidden_size, 16);
  ASSERT_EQ(spec.losses.size(), 2u);
  EXPECT_EQ(spec.losses[0].coef, 0.5);
  EXPECT_EQ(spec.losses[1].coef, 1e-2);
  EXPECT_EQ(read("").method, "l-moe");
}

TEST(ReadMixture, WriteThenReadIsTheIdentity) {
  for (const char* text :
       {"{}", "method: lora", "top_k: 2", "router_loss: false",
        "experts: {alpha: 3.25, use_rslora: true, dropout: 0.125, names: [x, y], count: 2}",
        "gate: {source: block_input, share: block, net: mlp, hidden_size: 7, temperature: 0.7}",
        "apply: factors\nlosses: [{kind: switch, coef: 1e-3}, {kind: kl, coef: 0}]",
        "select: {kind: top_k, k: 3}\nnormalize: softmax"}) {
    const Json json = write_mixture(read(text));
    ReadReport report;
    EXPECT_EQ(write_mixture(read(yaml_from_json(json), &report)), json) << text;
    EXPECT_TRUE(report.notes.empty()) << report.notes.front();
    EXPECT_EQ(write_mixture(read(json.dump())), json) << text;
  }
}

TEST(ReadMixture, ShortSpellingsReachTheirFieldsAndAreNoted) {
  ReadReport report;
  const MixtureSpec spec = read(
      "num_experts: 6\nnum_experts_per_tok: 2\nrouter_aux_loss_coef: 0.001\n"
      "softmax_temperature: 0.5\nrouter_init_range: 0.1\n",
      &report);
  EXPECT_EQ(spec.experts.count, 6);
  EXPECT_EQ(spec.select.kind, SelectKind::kTopK);
  EXPECT_EQ(spec.select.k, 2);
  EXPECT_EQ(spec.normalize, Normalize::kRenormalize);
  ASSERT_EQ(spec.losses.size(), 1u);
  EXPECT_EQ(spec.losses[0].kind, BalanceLoss::kCv2);
  EXPECT_EQ(spec.losses[0].coef, 0.001);
  EXPECT_EQ(spec.gate.temperature, 0.5);
  EXPECT_EQ(spec.gate.init_range, 0.1);
  EXPECT_THAT(report.notes,
              Contains("\"mixture.num_experts_per_tok\" read as \"mixture.select.k\""));
  EXPECT_EQ(report.notes.size(), 6u);  // five keys, and normalize
}

TEST(ReadMixture, EveryAliasOfAShortSpelling) {
  for (const char* key : {"num_experts", "num_local_experts", "lora_num_experts"})
    EXPECT_EQ(read(concat(key, ": 3")).experts.count, 3) << key;
  for (const char* key : {"top_k", "num_experts_per_tok", "lora_router_top_k"})
    EXPECT_EQ(read(concat(key, ": 3")).select.k, 3) << key;
  for (const char* key : {"temperature", "softmax_temperature", "lora_router_temperature"})
    EXPECT_EQ(read(concat(key, ": 3")).gate.temperature, 3.0) << key;
  for (const char* key : {"router_aux_loss_coef", "lora_router_aux_loss_coef"})
    EXPECT_EQ(read(concat(key, ": 3")).losses.at(0).coef, 3.0) << key;
  EXPECT_EQ(read("routing_strategy: lora").method, "lora");
  EXPECT_TRUE(read("router_loss: false").losses.empty());
  EXPECT_EQ(read("router_loss: true").losses.size(), 1u);
}

TEST(ReadMixture, SameFieldTwiceMustAgree) {
  EXPECT_EQ(read("num_experts: 4\nexperts: {count: 4}").experts.count, 4);
  EXPECT_THAT(refusal("num_experts: 4\nexperts:\n  count: 5\n"),
              HasSubstr("r.yaml:1: \"mixture.num_experts\" and \"mixture.experts.count\" "
                        "(r.yaml:3) are the same key with different values"));
  EXPECT_THAT(refusal("num_experts: 4\nnum_local_experts: 5\n"),
              HasSubstr("\"mixture.num_local_experts\" and \"mixture.num_experts\" (r.yaml:1)"));
  EXPECT_THAT(refusal("routing_strategy: lora\nmethod: l-moe\n"), HasSubstr("different values"));
  EXPECT_THAT(refusal("router_aux_loss_coef: 0.1\nlosses: [{kind: kl, coef: 0.2}]\n"),
              HasSubstr("different values"));
  EXPECT_EQ(read("router_aux_loss_coef: 0.1\nlosses: [{kind: kl}]\n").losses[0].coef, 0.1);
}

TEST(ReadMixture, ContradictionsAmongShortSpellings) {
  EXPECT_THAT(refusal("router_loss: false\nlosses: [{kind: kl}]\n"), HasSubstr("losses is given"));
  EXPECT_THAT(refusal("router_loss: false\nrouter_aux_loss_coef: 0.1\n"),
              HasSubstr("router_aux_loss_coef is given"));
  EXPECT_THAT(refusal("router_loss: true\nlosses: []\n"), HasSubstr("there is no loss"));
  EXPECT_THAT(refusal("router_loss: maybe\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(refusal("router_aux_loss_coef: 0.1\nlosses: []\n"), HasSubstr("is empty"));
  EXPECT_THAT(refusal("top_k: 2\nselect: {kind: all}\n"), HasSubstr("given k 2 with kind all"));
  EXPECT_THAT(refusal("method: lora\ntop_k: 1\n"), HasSubstr("source constant"));
  EXPECT_THAT(refusal("method: lora\nrouter_aux_loss_coef: 0.1\n"), HasSubstr("no router"));
  EXPECT_THAT(refusal("experts: 5\nnum_experts: 4\n"),
              HasSubstr("mixture.experts: given \"5\", expected a mapping"));
}

TEST(ReadMixture, OverridesOfSingleLosses) {
  ConfigNode root = parse_config("mixture: {method: l-moe}", "r.yaml");
  set_override(root, "mixture.losses.0.coef=0.25");
  set_override(root, "mixture.losses.1.kind=kl");
  ReadReport report;
  const MixtureSpec spec = read_mixture(*root.find("mixture"), report);
  ASSERT_EQ(spec.losses.size(), 2u);
  EXPECT_EQ(spec.losses[0].kind, BalanceLoss::kCv2);
  EXPECT_EQ(spec.losses[0].coef, 0.25);
  EXPECT_EQ(spec.losses[1].kind, BalanceLoss::kKl);
  EXPECT_THAT(refusal("losses: {3: {coef: 1}}"), HasSubstr("count from 0"));
}

TEST(ReadMixture, TopKRenormalisesUnlessToldOtherwise) {
  EXPECT_EQ(read("select: {kind: top_k, k: 2}").normalize, Normalize::kRenormalize);
  EXPECT_EQ(read("select: {kind: top_k, k: 2}\nnormalize: softmax").normalize, Normalize::kSoftmax);
}

TEST(ReadMixture, TargetsInTheSpellingsOfOthers) {
  EXPECT_EQ(read("target_modules: all-linear").target_modules.size(), 7u);
  EXPECT_THAT(
      read("lora_target_modules: {q_proj: true, k_proj: false, v_proj: true}").target_modules,
      ElementsAre("q_proj", "v_proj"));
  EXPECT_THAT(refusal("target_modules: {q_proj: 3}"), HasSubstr("expected true or false"));
  EXPECT_THAT(refusal("target_modules: []"), HasSubstr("target_modules is empty"));
}

TEST(ReadMixture, UnknownKeysGetTheNearest) {
  EXPECT_THAT(refusal("num_expert: 4"),
              HasSubstr("r.yaml:1: unknown key \"mixture.num_expert\"; nearest is "
                        "\"mixture.num_experts\""));
  EXPECT_THAT(refusal("gate: {temprature: 1}"),
              HasSubstr("nearest is \"mixture.gate.temperature\""));
  EXPECT_THAT(refusal("method: mixlra"), HasSubstr("mixture.method: unknown method: given"));
  EXPECT_THAT(refusal("method: [a]"), HasSubstr("expected a name"));
  EXPECT_THAT(refusal("apply: both"), HasSubstr("one of deltas, factors"));
  EXPECT_THAT(refusal("experts: {rank: 0}"), HasSubstr("mixture.experts.rank: given \"0\""));
  EXPECT_THAT(refusal("[1, 2]"), HasSubstr("expected a mapping"));
}

}  // namespace
}  // namespace lmoe::spec
