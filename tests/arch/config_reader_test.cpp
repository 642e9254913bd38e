// What config.json may say wrongly.
#include "arch/config_reader.h"

#include <gtest/gtest.h>

#include "arch/family.h"
#include "base/error.h"

namespace lmoe::arch {
namespace {

Json good() {
  return {{"model_type", "llama"},    {"vocab_size", 50},       {"hidden_size", 64},
          {"intermediate_size", 96},  {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"rms_norm_eps", 1e-5},   {"max_position_embeddings", 128}};
}

ModelConfig parse(const Json& json) {
  const HuggingFaceConfig config(json, "config.json");
  return family_of_model_type(config.text("model_type"), config.where("model_type"))
      .from_huggingface(config);
}

/// The message of the error that `good()` with this key gives; empty when it is accepted.
std::string error_with(const std::string& key,
                       const Json& value,
                       const std::string& model_type = "llama") {
  Json json = good();
  json["model_type"] = model_type;
  json[key] = value;
  try {
    parse(json);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(ConfigReader, EveryNumberIsChecked) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"}) {
    for (const Json& value : {Json(0), Json(-1), Json(INT64_MAX), Json(UINT64_MAX), Json(1.5),
                              Json(4.0), Json("4"), Json(true), Json::array({4}), Json::object()})
      EXPECT_NE(error_with(key, value).find(key), std::string::npos) << key << " " << value;
  }
  for (const char* key : {"rms_norm_eps", "rope_theta"}) {
    for (const Json& value : {Json(-1), Json(1e300), Json("1"), Json(true), Json::array()})
      EXPECT_NE(error_with(key, value).find(key), std::string::npos) << key << " " << value;
  }
  EXPECT_NE(error_with("rope_theta", 0), "");
  EXPECT_EQ(error_with("rope_theta", 10000), "");
}

TEST(ConfigReader, SizesMustAgree) {
  EXPECT_NE(error_with("num_key_value_heads", 3).find("multiple of num_key_value_heads"),
            std::string::npos);
  EXPECT_NE(error_with("num_key_value_heads", 8), "") << "more than heads";
  EXPECT_NE(error_with("num_attention_heads", 6).find("multiple"), std::string::npos);
  EXPECT_NE(error_with("head_dim", 7).find("even"), std::string::npos);
}

TEST(ConfigReader, MissingSizesAreNamed) {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads"}) {
    EXPECT_NE(error_with(key, nullptr).find(std::string(key) + " is missing"), std::string::npos)
        << key;
  }
}

TEST(ConfigReader, FlagsAndTexts) {
  EXPECT_NE(error_with("tie_word_embeddings", 1).find("true or false"), std::string::npos);
  EXPECT_NE(error_with("attention_bias", "yes"), "");
  EXPECT_NE(error_with("hidden_act", "relu").find("silu, swish, gelu"), std::string::npos);
  EXPECT_NE(error_with("hidden_act", 3), "");
  EXPECT_EQ(parse([] {
              Json j = good();
              j["hidden_act"] = "gelu_pytorch_tanh";
              return j;
            }())
                .hidden_act,
            Activation::kGeluTanh);
}

TEST(ConfigReader, EndOfSequenceIds) {
  for (const Json& value : {Json(-1), Json(50), Json(UINT64_MAX), Json(1.0), Json("2"),
                            Json::array({1, 50}), Json::array({Json::array()})})
    EXPECT_NE(error_with("eos_token_id", value).find("eos_token_id"), std::string::npos) << value;
  EXPECT_EQ(error_with("eos_token_id", Json::array({1, 2})), "");
}

TEST(ConfigReader, RotaryScaling) {
  const auto error = [](const Json& rope) { return error_with("rope_scaling", rope); };
  EXPECT_NE(error({{"type", "longrope"}, {"factor", 2}}).find("longrope"), std::string::npos);
  EXPECT_NE(error({{"type", "linear"}}).find("rope_scaling.factor is missing"), std::string::npos);
  for (const Json& factor : {Json(0), Json(-2), Json("2"), Json(1e300), Json(nullptr)})
    EXPECT_NE(error({{"type", "linear"}, {"factor", factor}}).find("factor"), std::string::npos)
        << factor;
  EXPECT_NE(error({{"rope_type", "llama3"},
                   {"factor", 8},
                   {"low_freq_factor", 4},
                   {"high_freq_factor", 4}}),
            "");
  EXPECT_NE(error({{"rope_type", "yarn"}, {"factor", 8}, {"original_max_position_embeddings", 0}}),
            "");
  EXPECT_NE(error({{"full_attention", {{"rope_type", "default"}}}}).find("differ between layers"),
            std::string::npos);
  EXPECT_NE(error(Json("linear")), "");
  EXPECT_NE(error_with("partial_rotary_factor", 0.5).find("partial_rotary_factor"),
            std::string::npos);
}

TEST(ConfigReader, LayerTypes) {
  const auto error = [](const Json& types) { return error_with("layer_types", types, "qwen3"); };
  EXPECT_EQ(error({"full_attention", "full_attention"}), "");
  EXPECT_NE(error({"full_attention"}).find("expected 2"), std::string::npos);
  EXPECT_NE(error({"full_attention", "linear_attention"}).find("linear_attention"),
            std::string::npos);
  EXPECT_NE(error({"full_attention", "sliding_attention"}).find("sliding_window"),
            std::string::npos);
  EXPECT_NE(error(Json::array()), "");
  EXPECT_NE(error(3), "");
}

TEST(ConfigReader, WhatIsNotBuiltIsRefusedByName) {
  const auto error = [](const char* type) { return error_with("model_type", type, type); };
  EXPECT_NE(error("mixtral").find("mixture of experts"), std::string::npos);
  EXPECT_NE(error("qwen3_moe").find("mixture of experts"), std::string::npos);
  EXPECT_NE(error("qwen4").find("nearest is \"qwen"), std::string::npos) << error("qwen4");
  EXPECT_NE(error("bert").find("llama, mistral, qwen2, qwen3, gemma2"), std::string::npos);
  EXPECT_NE(error_with("use_bidirectional_attention", true, "gemma2").find("causal"),
            std::string::npos);
}

}  // namespace
}  // namespace lmoe::arch
