// Configurations and tensor names against what transformers and the gguf package make of the same
// config.json.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "arch/family.h"
#include "arch/tensor_names.h"
#include "base/files.h"
#include "base/json.h"

namespace lmoe::arch {
namespace {

struct Case {
  std::string name;
  Json expected;
  ModelConfig config;
};

std::vector<Case> read_cases() {
  std::vector<Case> cases;
  for (const Json& item :
       Json::parse(read_file(fs::path(LMOE_FIXTURES) / "arch" / "families.json"))) {
    const HuggingFaceConfig config(item.at("config"), item.at("name"));
    const Family& family = family_of_model_type(config.text("model_type"), "test");
    cases.push_back({item.at("name"), item, family.from_huggingface(config)});
  }
  return cases;
}

TEST(Families, NumbersAreThoseOfTransformers) {
  for (const auto& [name, expected, config] : read_cases()) {
    EXPECT_EQ(config.family, expected["config"]["model_type"]) << name;
    EXPECT_EQ(Json(config.sliding_window), expected["windows"]) << name;
    EXPECT_EQ(config.head_dim, expected["head_dim"]) << name;
    EXPECT_EQ(config.max_position_embeddings, expected["max_position_embeddings"]) << name;
    EXPECT_EQ(config.rms_norm_eps, expected["rms_norm_eps"]) << name;
    EXPECT_EQ(config.tie_word_embeddings, expected["tie_word_embeddings"]) << name;
    EXPECT_EQ(Json(config.eos_token_ids), expected["eos"]) << name;
    const double scale_of =
        config.query_pre_attn_scalar.value_or(static_cast<double>(config.head_dim));
    EXPECT_NEAR(1 / std::sqrt(scale_of), expected["attention_scale"].get<double>(), 1e-12) << name;
    const auto cap = [](const std::optional<double>& value) {
      return value ? Json(*value) : Json(nullptr);
    };
    EXPECT_EQ(cap(config.attn_logit_softcapping), expected["caps"][0]) << name;
    EXPECT_EQ(cap(config.final_logit_softcapping), expected["caps"][1]) << name;
  }
}

const char* kind_name(RopeScaling::Kind kind) {
  switch (kind) {
    case RopeScaling::Kind::kNone:
      return "default";
    case RopeScaling::Kind::kLinear:
      return "linear";
    case RopeScaling::Kind::kDynamicNtk:
      return "dynamic";
    case RopeScaling::Kind::kLlama3:
      return "llama3";
    case RopeScaling::Kind::kYarn:
      return "yarn";
    case RopeScaling::Kind::kFactors:
      return "factors";
  }
  return "?";
}

TEST(Families, RotaryParametersAreThoseOfTransformers) {
  for (const auto& [name, expected, config] : read_cases()) {
    const Json& rope = expected["rope"];
    const RopeScaling& scaling = config.rope_scaling;
    EXPECT_EQ(kind_name(scaling.kind), rope["rope_type"]) << name;
    EXPECT_EQ(config.rope_theta, rope["rope_theta"]) << name;
    const auto same = [&, &name = name](const char* key, const Json& ours) {
      if (rope.contains(key)) {
        EXPECT_EQ(ours, rope[key]) << name << " " << key;
      }
    };
    same("factor", scaling.factor);
    same("low_freq_factor", scaling.low_freq_factor);
    same("high_freq_factor", scaling.high_freq_factor);
    same("original_max_position_embeddings", scaling.original_max_position_embeddings);
    same("beta_fast", scaling.beta_fast);
    same("beta_slow", scaling.beta_slow);
    same("truncate", scaling.truncate);
    EXPECT_NEAR(scaling.attention_factor.value_or(1),
                expected["rope_attention_scaling"].get<double>(), 1e-12)
        << name;
  }
}

TEST(Families, TensorsAreThoseOfTheStateDict) {
  for (const auto& [name, expected, config] : read_cases()) {
    std::map<std::string, Json> ours;
    for (const ExpectedTensor& tensor : expected_tensors(config))
      ours[huggingface_tensor_name(config, tensor.role, tensor.layer)] = tensor.shape;
    const auto theirs = expected["shapes"].get<std::map<std::string, Json>>();
    EXPECT_EQ(ours, theirs) << name;
  }
}

TEST(Families, GgufNamesAreThoseOfThePackage) {
  int compared = 0;
  for (const auto& [name, expected, config] : read_cases()) {
    if (!expected.contains("gguf_names")) continue;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      const std::string key = huggingface_tensor_name(config, tensor.role, tensor.layer);
      EXPECT_EQ(gguf_tensor_name(config, tensor.role, tensor.layer), expected["gguf_names"].at(key))
          << name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 400);
}

TEST(TensorNames, RolesThatAModelLacksHaveNoName) {
  const ModelConfig config = read_cases().front().config;
  EXPECT_EQ(huggingface_tensor_name(config, TensorRole::kQBias, 0), "");
  EXPECT_EQ(huggingface_tensor_name(config, TensorRole::kQ, 3), "") << "there are three layers";
  EXPECT_EQ(huggingface_tensor_name(config, TensorRole::kQ, -1), "");
  EXPECT_EQ(huggingface_tensor_name(config, TensorRole::kEmbedding, 0), "");
  EXPECT_EQ(BaseModel::module_path(TensorRole::kDown, 7), "model.layers.7.mlp.down_proj");
}

}  // namespace
}  // namespace lmoe::arch
