#include "io/peft_folder.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

using test::TempFolder;

std::vector<float> floats(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.elements()));
  to_float32(view, values);
  return values;
}

TEST(PeftFolder, RanksAndScalingsAreThoseOfPeft) {
  const fs::path folder = fs::path(LMOE_FIXTURES) / "io" / "adapter";
  const LoraFolder adapter = read_peft_folder(folder);
  const Json expected = Json::parse(read_file(folder / "expected.json"));
  ASSERT_EQ(adapter.pairs.size(), expected.size());
  for (const LoraPair& pair : adapter.pairs) {
    EXPECT_EQ(pair.a.shape[0], expected.at(pair.module)[0].get<int64_t>()) << pair.module;
    EXPECT_DOUBLE_EQ(pair.scaling, expected.at(pair.module)[1].get<double>()) << pair.module;
  }
}

/// Factors for tests; the storage of their values.
struct Factors {
  std::vector<float> values = std::vector<float>(64);
  Factors() { std::iota(values.begin(), values.end(), 1.0F); }
  TensorView view(std::string name, std::vector<int64_t> shape) const {
    TensorView tensor{std::move(name), DType::kF32, std::move(shape), {}};
    tensor.bytes = std::as_bytes(std::span(values).first(static_cast<size_t>(tensor.elements())));
    return tensor;
  }
};

TEST(PeftFolder, RoundTrip) {
  const TempFolder folder;
  const Factors factors;
  LoraConfig config;
  config.rank = 2;
  config.alpha = 4.5;
  config.alpha_pattern = {{"v_proj", 1.0}, {"layers.0.*", 2.0}};
  config.base_model_name_or_path = "smollm2-135m";
  config.target_modules = {"q_proj", "v_proj"};
  const std::vector<LoraPair> pairs = {
      {"model.layers.0.self_attn.q_proj", factors.view("", {2, 3}), factors.view("", {5, 2})},
      {"model.layers.0.self_attn.v_proj", factors.view("", {2, 3}), factors.view("", {4, 2})}};
  write_peft_folder(folder.path() / "e", config, pairs);
  const LoraFolder read = read_peft_folder(folder.path() / "e");
  EXPECT_EQ(read.config.rank, 2);
  EXPECT_EQ(read.config.alpha, 4.5);
  EXPECT_EQ(read.config.alpha_pattern, config.alpha_pattern);
  EXPECT_EQ(read.config.target_modules, config.target_modules);
  EXPECT_EQ(read.config.base_model_name_or_path, "smollm2-135m");
  ASSERT_EQ(read.pairs.size(), 2U);
  EXPECT_EQ(read.pairs[0].module, pairs[0].module);
  EXPECT_EQ(read.pairs[0].b.shape, (std::vector<int64_t>{5, 2}));
  EXPECT_EQ(floats(read.pairs[1].b), floats(pairs[1].b));
  EXPECT_EQ(read.pairs[0].scaling, 2.0 / 2);
  EXPECT_EQ(read.pairs[1].scaling, 1.0 / 2) << "the first pattern wins";
}

TEST(PeftFolder, DoraRoundTrip) {
  const TempFolder folder;
  const Factors factors;
  LoraConfig config;
  config.rank = 2;
  config.use_dora = true;
  const std::string module = "model.layers.0.self_attn.q_proj";
  write_peft_folder(
      folder.path() / "e", config,
      {{module, factors.view("", {2, 3}), factors.view("", {5, 2}), 1, factors.view("", {5})}});
  const LoraFolder read = read_peft_folder(folder.path() / "e");
  EXPECT_TRUE(read.config.use_dora);
  ASSERT_TRUE(read.pairs[0].magnitude);
  EXPECT_EQ(read.pairs[0].magnitude->name, "base_model.model." + module + ".lora_magnitude_vector");
  EXPECT_EQ(floats(*read.pairs[0].magnitude), (std::vector<float>{1, 2, 3, 4, 5}));
}

TEST(PeftFolder, WritingRefusesWhatReadingWould) {
  const TempFolder folder;
  const Factors factors;
  LoraConfig config;
  config.rank = 2;
  const LoraPair good = {"m", factors.view("", {2, 3}), factors.view("", {5, 2})};
  EXPECT_THROW(write_peft_folder(folder.path() / "e", config, {}), Error);
  EXPECT_THROW(write_peft_folder(folder.path() / "e", config, {good, good}), Error);
  EXPECT_THROW(write_peft_folder(folder.path() / "e", config, {{"m", good.b, good.a}}), Error);
  config.target_modules = {"m", "absent"};
  EXPECT_THROW(write_peft_folder(folder.path() / "e", config, {good}), Error);
  EXPECT_FALSE(fs::exists(folder.path() / "e" / "adapter_config.json"));
}

class PeftHostile : public ::testing::Test {
 protected:
  void write_config(const std::string& json) {
    write_file_atomically(folder_.path() / "adapter_config.json", json);
  }
  void write_tensors(const std::vector<TensorView>& tensors) {
    write_safetensors(folder_.path() / "adapter_model.safetensors", tensors);
  }
  TensorView a(const std::string& name = "base_model.model.m.q_proj.lora_A.weight") const {
    return factors_.view(name, {2, 3});
  }
  TensorView b(const std::string& name = "base_model.model.m.q_proj.lora_B.weight") const {
    return factors_.view(name, {5, 2});
  }
  void SetUp() override {
    write_config(R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]})");
    write_tensors({a(), b()});
  }
  LoraFolder read() { return read_peft_folder(folder_.path()); }
  /// The message of the error; empty when there is none.
  std::string error() {
    try {
      read();
      return "";
    } catch (const Error& caught) {
      return caught.what();
    }
  }
  void expect_error_with_config(const std::string& extra, const std::string& part) {
    write_config(R"({"peft_type":"LORA","target_modules":["q_proj"],)" + extra + "}");
    EXPECT_NE(error().find(part), std::string::npos) << extra << " gave: " << error();
  }
  Factors factors_;
  TempFolder folder_;
};

TEST_F(PeftHostile, GoodNamesInAllForms) {
  EXPECT_EQ(read().pairs.front().module, "m.q_proj");
  EXPECT_EQ(read().pairs.front().scaling, 2.0);
  write_tensors({a("m.q_proj.lora_A.weight"), b("m.q_proj.lora_B.weight")});
  EXPECT_EQ(read().pairs.front().module, "m.q_proj");
  write_tensors(
      {a("base_model.model.m.q_proj.lora_A.default.weight"), b("m.q_proj.lora_B.default.weight")});
  EXPECT_EQ(read().pairs.front().module, "m.q_proj");
  write_config(
      R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":".*q_proj","unknown_key":[1]})");
  EXPECT_EQ(read().config.target_modules, std::vector<std::string>{"m.q_proj"});
}

TEST_F(PeftHostile, HalfPairs) {
  write_tensors({a()});
  EXPECT_NE(error().find("m.q_proj has lora_A but no lora_B"), std::string::npos) << error();
  write_tensors({b()});
  EXPECT_NE(error().find("m.q_proj has lora_B but no lora_A"), std::string::npos) << error();
  write_tensors({});
  EXPECT_NE(error().find("no LoRA tensors"), std::string::npos) << error();
}

TEST_F(PeftHostile, SwappedTransposedAndMisshapen) {
  const std::string name_a = a().name, name_b = b().name;
  write_tensors({factors_.view(name_a, {5, 2}), factors_.view(name_b, {2, 3})});
  EXPECT_NE(error().find("looks transposed or swapped"), std::string::npos) << error();
  write_tensors({a(), factors_.view(name_b, {2, 5})});
  EXPECT_NE(error().find("shape [2, 5], expected [out, 2]"), std::string::npos) << error();
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{3, 3}, {2}, {2, 0}, {}, {2, 3, 1, 1}, {2, 3, 1}}) {
    write_tensors({factors_.view(name_a, shape), b()});
    EXPECT_NE(error(), "") << shape_text(shape);
  }
  TensorView integers = a();
  integers.dtype = DType::kI32;
  write_tensors({integers, b()});
  EXPECT_NE(error().find("type I32"), std::string::npos) << error();
}

TEST_F(PeftHostile, RankOfTheConfigIsNamed) {
  expect_error_with_config(R"("r":4)", "rank 4 in adapter_config.json");
}

TEST_F(PeftHostile, ImpossibleRanksAndAlphas) {
  for (const char* rank :
       {"0", "-1", "65537", "18446744073709551615", "2.0", "\"2\"", "null", "true", "[2]"})
    expect_error_with_config(std::string("\"r\":") + rank, "r: given");
  for (const char* alpha :
       {"0", "-4", "NaN", "Infinity", "1e999", "1e300", "\"4\"", "null", "true"}) {
    write_config(R"({"peft_type":"LORA","r":2,"lora_alpha":)" + std::string(alpha) + "}");
    EXPECT_NE(error(), "") << alpha;
  }
  expect_error_with_config(R"("r":2,"rank_pattern":{"q_proj":0})", "rank_pattern.q_proj");
  expect_error_with_config(R"("r":2,"alpha_pattern":{"q_proj":-1})", "alpha_pattern.q_proj");
  expect_error_with_config(R"("r":2,"alpha_pattern":[1])", "alpha_pattern");
}

TEST_F(PeftHostile, BadPatterns) {
  expect_error_with_config(R"("r":2,"rank_pattern":{"(":4})", "not a regular expression");
  // Four ways to match each character: too many ways to fail.
  const std::string slow = R"((((\\w|.|\\w|.)*)*(x|y)))";
  expect_error_with_config(R"("r":2,"rank_pattern":{")" + slow + R"(":4})", "cannot be matched");
}

TEST_F(PeftHostile, FeaturesThatAreSwitchedOnAreRefusedByName) {
  for (const char* feature :
       {R"("use_qalora":true)", R"("lora_bias":true)", R"("modules_to_save":["lm_head"])",
        R"("layer_replication":[[0,1]])", R"("target_parameters":["x"])",
        R"("trainable_token_indices":[1])", R"("alora_invocation_tokens":[1])", R"("bias":"all")",
        R"("fan_in_fan_out":true)", R"("init_lora_weights":"pissa")"}) {
    const std::string text = feature;
    expect_error_with_config(R"("r":2,)" + text, text.substr(1, text.find('"', 1) - 1));
  }
  write_config(
      R"({"peft_type":"LORA","r":2,"use_dora":false,"modules_to_save":[],"loftq_config":{},)"
      R"("init_lora_weights":"gaussian","target_parameters":null})");
  EXPECT_EQ(error(), "");
  write_config(R"({"peft_type":"LOHA","r":2})");
  EXPECT_NE(error().find("LOHA"), std::string::npos);
}

TEST_F(PeftHostile, TensorsThatAreNoFactors) {
  for (const char* name :
       {"base_model.model.lm_head.weight", "base_model.model.m.q_proj.lora_magnitude_vector.x",
        "base_model.model.m.embed.lora_embedding_A", "base_model.model.m.q_proj.lora_B.bias",
        "base_model.model.m.q_proj.lora_A.other.weight", ".lora_A.weight", "lora_A.weight", "x"}) {
    write_tensors({a(), b(), a(name)});
    EXPECT_NE(error().find(std::string("tensor ") + name), std::string::npos) << error();
  }
}

TEST_F(PeftHostile, MagnitudesBelongToDoraAndNothingElse) {
  const std::string name = "base_model.model.m.q_proj.lora_magnitude_vector";
  write_tensors({a(), b(), factors_.view(name, {5})});
  EXPECT_NE(error().find("has a lora_magnitude_vector, but use_dora is false"), std::string::npos)
      << error();
  write_config(R"({"peft_type":"LORA","r":2,"use_dora":true})");
  EXPECT_EQ(error(), "");
  write_tensors({a(), b(), factors_.view("m.q_proj.lora_magnitude_vector.default.weight", {5})});
  EXPECT_EQ(error(), "");
  write_tensors({a(), b()});
  EXPECT_NE(error().find("has no lora_magnitude_vector"), std::string::npos) << error();
  write_tensors({a(), b(), factors_.view(name, {4})});
  EXPECT_NE(error().find("shape [4], expected [5]"), std::string::npos) << error();
  write_tensors({a(), b(), factors_.view(name, {5, 1})});
  EXPECT_NE(error().find("shape [5, 1], expected [5]"), std::string::npos) << error();
  write_tensors({factors_.view(name, {5})});
  EXPECT_NE(error().find("has a lora_magnitude_vector alone"), std::string::npos) << error();
}

TEST_F(PeftHostile, NamesThatCollide) {
  write_tensors({a(), b(), a("m.q_proj.lora_A.weight")});
  EXPECT_NE(error().find("twice"), std::string::npos) << error();
}

TEST_F(PeftHostile, TargetsThatMatchNothing) {
  write_config(R"({"peft_type":"LORA","r":2,"target_modules":["q_proj","v_proj"]})");
  EXPECT_NE(error().find("\"v_proj\""), std::string::npos) << error();
  write_config(R"({"peft_type":"LORA","r":2,"target_modules":["proj"]})");
  EXPECT_NE(error(), "") << "a suffix must begin at a dot";
  write_config(R"({"peft_type":"LORA","r":2,"target_modules":[1]})");
  EXPECT_NE(error(), "");
}

TEST_F(PeftHostile, FilesThatAreMissingOrNotWhatTheySay) {
  write_config("{");
  EXPECT_NE(error(), "");
  write_config("[]");
  EXPECT_NE(error(), "");
  write_config(R"({"peft_type":"LORA","r":2,"r":2})");
  EXPECT_NE(error().find("twice"), std::string::npos);
  write_config(std::string(100'000, '['));
  EXPECT_NE(error(), "");
  SetUp();
  fs::remove(folder_.path() / "adapter_model.safetensors");
  EXPECT_NE(error(), "");
  write_file_atomically(folder_.path() / "adapter_model.bin", "x");
  EXPECT_NE(error().find("pickle"), std::string::npos) << error();
}

}  // namespace
}  // namespace lmoe::io
