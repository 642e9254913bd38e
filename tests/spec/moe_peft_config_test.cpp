#include "spec/moe_peft_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "spec/method_info.h"

namespace lmoe::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json mixlora() {
  return {{"bias", "none"},
          {"peft_type", "MIXLORA"},
          {"r", 8},
          {"lora_alpha", 16},
          {"lora_dropout", 0.05},
          {"target_modules", {{"q_proj", true}, {"k_proj", false}, {"up_proj", true}}},
          {"routing_strategy", "mixlora"},
          {"num_experts", 6}};
}

std::string refusal(const Json& config) {
  try {
    mixture_from_moe_peft(config, "c.json");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("c.json: "));
    return error.what();
  }
  return "accepted";
}

TEST(MoePeftConfig, RefusesWhatItCannotHold) {
  MixtureSpec spec = find_method("mixlora").preset();
  spec.select.inference_threshold = 0.1;
  try {
    moe_peft_from_mixture(spec);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("select.inference_threshold"));
  }
}

TEST(MoePeftConfig, MissingKeysHaveThePackagesDefaults) {
  const MixtureSpec spec = mixture_from_moe_peft(mixlora(), "c.json");
  EXPECT_EQ(spec.attach, Attach::kFfnBlock);
  EXPECT_THAT(spec.target_modules, ElementsAre("up_proj"));
  EXPECT_THAT(spec.plain.target_modules, ElementsAre("q_proj"));
  EXPECT_EQ(spec.experts.count, 6);
  EXPECT_EQ(spec.select.k, 2);
  EXPECT_EQ(spec.gate.init_range, 0.02);
  EXPECT_EQ(spec.losses.at(0).coef, 1e-3);
  EXPECT_EQ(spec.scaling(), 2.0);
  EXPECT_EQ(spec.plain_part().scaling(), 2.0);
}

TEST(MoePeftConfig, ExpertsMayHaveLorasOfAnotherSizeThanAttention) {
  Json config = mixlora();
  config["expert_lora"] = {{"r", 4}, {"lora_alpha", 32}};
  config["use_rslora"] = true;
  const MixtureSpec spec = mixture_from_moe_peft(config, "c.json");
  EXPECT_EQ(spec.experts.rank, 4);
  EXPECT_EQ(spec.scaling(), 32 / 2.0);
  EXPECT_EQ(spec.plain.rank, 8);
  EXPECT_NEAR(spec.plain_part().scaling(), 16 / std::sqrt(8.0), 1e-12);
}

TEST(MoePeftConfig, EverythingWrittenIsReadBack) {
  for (const char* name : {"mixlora", "mixlora-dynamic", "mixlora-switch"}) {
    MixtureSpec spec = find_method(name).preset();
    spec.experts.rank = 4;
    spec.losses = mixture_from_moe_peft(moe_peft_from_mixture(spec), "c.json").losses;
    EXPECT_EQ(write_mixture(mixture_from_moe_peft(moe_peft_from_mixture(spec), "c.json")),
              write_mixture(spec))
        << name;
  }
}

TEST(MoePeftConfig, WhatItCannotHoldIsNamed) {
  const auto cannot = [](const char* method, void (*change)(MixtureSpec&)) -> std::string {
    MixtureSpec spec = find_method(method).preset();
    change(spec);
    try {
      moe_peft_from_mixture(spec);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "written";
  };
  EXPECT_EQ(cannot("mixlora", [](MixtureSpec&) {}), "written");
  EXPECT_THAT(cannot("mixlora", [](MixtureSpec& s) { s.gate.net = GateNet::kMlp; }),
              HasSubstr("cannot hold gate.net mlp"));
  EXPECT_THAT(cannot("mola", [](MixtureSpec&) {}), HasSubstr("experts.count_by_layer"));
  EXPECT_THAT(cannot("comol", [](MixtureSpec&) {}), HasSubstr("experts.kind core"));
  EXPECT_THAT(cannot("llava-mole", [](MixtureSpec&) {}), HasSubstr("normalize constant"));
  EXPECT_THAT(cannot("mixlora",
                     [](MixtureSpec& s) {
                       s.plain.target_modules = {"up_proj"};
                       s.target_modules = {"down_proj"};
                     }),
              HasSubstr("a plain LoRA on up_proj"));
}

TEST(MoePeftConfig, ImpossibleAndUnknownValuesAreRefusedByName) {
  EXPECT_EQ(refusal(mixlora()), "accepted");
  const auto with = [](const char* key, const Json& value) {
    Json config = mixlora();
    config[key] = value;
    return config;
  };
  EXPECT_THAT(refusal(with("ffn_dropout", 0.1)), HasSubstr("\"ffn_dropout\" is set to 0.1"));
  EXPECT_EQ(refusal(with("sparse_step", nullptr)), "accepted");
  EXPECT_THAT(refusal(with("bias", "all")), HasSubstr("bias: given \"all\""));
  EXPECT_THAT(refusal(with("num_experts", "8")), HasSubstr("num_experts: given \"8\""));
  EXPECT_THAT(refusal(with("target_modules", {{"up_proj", 1}})), HasSubstr("up_proj: given 1"));
  EXPECT_THAT(refusal(with("top_k", 7)), HasSubstr("given 7, expected at most"));
}

}  // namespace
}  // namespace lmoe::spec
