// What the metadata of a GGUF file may say wrongly.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "arch/base_model.h"
#include "arch/family.h"
#include "base/error.h"
#include "base/files.h"
#include "support/gguf_builder.h"
#include "support/temp_folder.h"

namespace lmoe::arch {
namespace {

using test::GgufBuilder;

/// Key -> how it is added, so that a test can replace one.
using Keys = std::map<std::string, std::function<void(GgufBuilder&, const std::string&)>>;

auto u32(uint32_t value) {
  return [value](GgufBuilder& file, const std::string& key) { file.u32(key, value); };
}
auto f32(float value) {
  return [value](GgufBuilder& file, const std::string& key) { file.f32(key, value); };
}
auto text(const std::string& value) {
  return [value](GgufBuilder& file, const std::string& key) { file.string(key, value); };
}
auto ints(const std::vector<int32_t>& values) {
  return [values](GgufBuilder& file, const std::string& key) { file.i32s(key, values); };
}
auto floats(const std::vector<float>& values) {
  return [values](GgufBuilder& file, const std::string& key) { file.f32s(key, values); };
}
auto strings(const std::vector<std::string>& values) {
  return [values](GgufBuilder& file, const std::string& key) { file.strings(key, values); };
}
void nothing(GgufBuilder&, const std::string&) {}

/// A SentencePiece vocabulary of an unknown token, the bytes and two pieces.
std::vector<std::string> vocabulary() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", byte);
    tokens.emplace_back(name);
  }
  tokens.insert(tokens.end(), {"a", "aa"});
  return tokens;
}

std::vector<int32_t> token_types() {
  std::vector<int32_t> types = {2, 3, 3};
  types.insert(types.end(), 256, 6);
  types.insert(types.end(), {1, 1});
  return types;
}

class GgufModel : public ::testing::Test {
 protected:
  Keys keys_ = {{"general.architecture", text("llama")},
                {"llama.block_count", u32(1)},
                {"llama.context_length", u32(32)},
                {"llama.embedding_length", u32(8)},
                {"llama.feed_forward_length", u32(6)},
                {"llama.attention.head_count", u32(2)},
                {"llama.attention.head_count_kv", u32(1)},
                {"llama.attention.layer_norm_rms_epsilon", f32(1e-5F)},
                {"llama.rope.freq_base", f32(5000)},
                {"tokenizer.ggml.model", text("llama")},
                {"tokenizer.ggml.tokens", strings(vocabulary())},
                {"tokenizer.ggml.token_type", ints(token_types())},
                {"tokenizer.ggml.scores", floats(std::vector<float>(vocabulary().size(), -1))},
                {"tokenizer.ggml.bos_token_id", u32(1)},
                {"tokenizer.ggml.eos_token_id", u32(2)},
                {"tokenizer.ggml.unknown_token_id", u32(0)}};
  std::map<std::string, std::vector<uint64_t>> tensors_ = {
      {"token_embd.weight", {8, vocabulary().size()}},
      {"output_norm.weight", {8}},
      {"blk.0.attn_norm.weight", {8}},
      {"blk.0.ffn_norm.weight", {8}},
      {"blk.0.attn_q.weight", {8, 8}},
      {"blk.0.attn_k.weight", {8, 4}},
      {"blk.0.attn_v.weight", {8, 4}},
      {"blk.0.attn_output.weight", {8, 8}},
      {"blk.0.ffn_gate.weight", {8, 6}},
      {"blk.0.ffn_up.weight", {8, 6}},
      {"blk.0.ffn_down.weight", {6, 8}}};
  test::TempFolder folder_;

  std::unique_ptr<BaseModel> open() {
    GgufBuilder file;
    for (const auto& [key, add] : keys_) add(file, key);
    for (const auto& [name, dims] : tensors_) {
      uint64_t elements = 1;
      for (const uint64_t size : dims) elements *= size;
      file.tensor(name, dims, std::vector<float>(elements, 1.5F));
    }
    const fs::path path = folder_.path() / "m.gguf";
    write_file_atomically(path, file.bytes());
    return open_base_model(path.string());
  }
  std::string error() {
    try {
      open();
      return "";
    } catch (const Error& caught) {
      return caught.what();
    }
  }
  /// The error with one key replaced.
  std::string error_with(const std::string& key,
                         const std::function<void(GgufBuilder&, const std::string&)>& add) {
    const Keys before = keys_;
    keys_[key] = add;
    std::string message = error();
    keys_ = before;
    return message;
  }
};

TEST_F(GgufModel, AGoodFileOpens) {
  const auto model = open();
  EXPECT_EQ(model->config.head_dim, 4);
  EXPECT_EQ(model->config.vocab_size, static_cast<int64_t>(vocabulary().size()));
  EXPECT_TRUE(model->config.tie_word_embeddings);
  EXPECT_EQ(model->tokenizer->encode("aa").front(), 1)
      << "SentencePiece vocabularies begin with BOS";
  tensors_["output.weight"] = tensors_["token_embd.weight"];
  EXPECT_FALSE(open()->config.tie_word_embeddings);
}

TEST_F(GgufModel, EndsOfTurnsAndMessagesEndAnswersToo) {
  keys_["tokenizer.ggml.eot_token_id"] = u32(259);
  keys_["tokenizer.ggml.eom_token_id"] = u32(260);
  EXPECT_EQ(open()->end_tokens(), (std::vector<text::TokenId>{2, 259, 260}));
}

TEST_F(GgufModel, TheSpaceBeforeATextIsLeftOutWhereTheFileSaysSo) {
  const text::TokenId a = 259;
  EXPECT_NE(open()->tokenizer->encode("a"), (std::vector<text::TokenId>{1, a}));
  keys_["tokenizer.ggml.add_space_prefix"] = [](GgufBuilder& file, const std::string& key) {
    file.boolean(key, false);
  };
  EXPECT_EQ(open()->tokenizer->encode("a"), (std::vector<text::TokenId>{1, a}));
}

TEST_F(GgufModel, SizesAreRequiredAndChecked) {
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    EXPECT_NE(
        error_with(std::string("llama.") + key, nothing).find(std::string(key) + " is missing"),
        std::string::npos)
        << key;
  }
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.head_count_kv", "attention.key_length"}) {
    EXPECT_NE(error_with(std::string("llama.") + key, u32(0)).find(key), std::string::npos) << key;
    EXPECT_NE(error_with(std::string("llama.") + key, text("8")).find(key), std::string::npos)
        << key;
    EXPECT_NE(error_with(std::string("llama.") + key, u32(UINT32_MAX)), "") << key;
  }
  EXPECT_NE(error_with("llama.attention.head_count", u32(3)).find("multiple"), std::string::npos);
  EXPECT_NE(error_with("llama.attention.layer_norm_rms_epsilon", f32(NAN)).find("epsilon"),
            std::string::npos);
  EXPECT_NE(error_with("llama.rope.freq_base", f32(-1)).find("freq_base"), std::string::npos);
}

TEST_F(GgufModel, FeaturesThatAreNotBuilt) {
  EXPECT_NE(error_with("llama.expert_count", u32(8)).find("mixtures of experts"),
            std::string::npos);
  EXPECT_NE(error_with("general.architecture", text("qwen3moe")).find("mixture of experts"),
            std::string::npos);
  EXPECT_NE(error_with("general.architecture", text("llamma")).find("nearest is \"llama\""),
            std::string::npos);
  EXPECT_NE(error_with("general.architecture", nothing).find("general.architecture"),
            std::string::npos);
  EXPECT_NE(error_with("llama.rope.dimension_count", u32(2)).find("dimension_count"),
            std::string::npos);
  EXPECT_NE(error_with("llama.attention.value_length", u32(2)).find("value_length"),
            std::string::npos);
  EXPECT_NE(error_with("llama.rope.scaling.type", text("longrope")).find("longrope"),
            std::string::npos);
  EXPECT_NE(
      error_with("llama.attention.head_count_kv", ints({1, 2})).find("differs from layer to layer"),
      std::string::npos);
  EXPECT_EQ(error_with("llama.attention.head_count_kv", ints({1, 1})), "");
}

TEST_F(GgufModel, RotaryScaling) {
  keys_["llama.rope.scaling.type"] = text("linear");
  EXPECT_NE(error().find("scale"), std::string::npos) << error();
  keys_["llama.rope.scaling.factor"] = f32(4);
  EXPECT_EQ(open()->config.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(open()->config.rope_scaling.factor, 4);
  keys_["llama.rope.scaling.type"] = text("yarn");
  keys_["llama.rope.scaling.original_context_length"] = u32(16);
  EXPECT_EQ(open()->config.rope_scaling.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(open()->config.rope_scaling.original_max_position_embeddings, 16);
}

TEST_F(GgufModel, FrequencyFactors) {
  tensors_["rope_freqs.weight"] = {2};
  const auto model = open();
  EXPECT_EQ(model->config.rope_scaling.kind, RopeScaling::Kind::kFactors);
  EXPECT_EQ(model->config.rope_scaling.factors, (std::vector<double>{1.5, 1.5}));
  tensors_["rope_freqs.weight"] = {3};
  EXPECT_NE(error().find("rope_freqs.weight has shape [3], expected [2]"), std::string::npos)
      << error();
}

TEST_F(GgufModel, TensorsMissingMisshapenOrUnknown) {
  const auto before = tensors_;
  for (const auto& [name, dims] : before) {
    tensors_.erase(name);
    EXPECT_NE(error().find(name), std::string::npos) << error();
    tensors_[name] = {3, vocabulary().size()};
    EXPECT_NE(error().find(name), std::string::npos) << error();
    tensors_ = before;
  }
  tensors_["blk.1.attn_norm.weight"] = {8};
  EXPECT_NE(error().find("blk.1.attn_norm.weight"), std::string::npos) << error();
}

TEST_F(GgufModel, VocabularyAndSpecialTokens) {
  EXPECT_NE(error_with("tokenizer.ggml.bos_token_id", u32(261)), "");
  EXPECT_NE(error_with("tokenizer.ggml.eos_token_id", u32(UINT32_MAX)), "");
  EXPECT_NE(error_with("tokenizer.ggml.eos_token_id", text("2")), "");
  EXPECT_NE(error_with("tokenizer.ggml.tokens", nothing), "");
  EXPECT_NE(error_with("tokenizer.ggml.model", nothing), "");
  EXPECT_NE(error_with("tokenizer.ggml.model", text("bert")).find("bert"), std::string::npos);
  std::vector<std::string> tokens = vocabulary();
  tokens[5] = "<0x-1>";
  EXPECT_NE(error_with("tokenizer.ggml.tokens", strings(tokens)), "") << "malformed byte token";
  tokens = vocabulary();
  tokens.push_back("one too many");
  keys_["tokenizer.ggml.token_type"] = nothing;
  keys_["tokenizer.ggml.scores"] = floats(std::vector<float>(tokens.size(), -1));
  EXPECT_NE(error_with("tokenizer.ggml.tokens", strings(tokens)), "")
      << "more tokens than the embedding has rows";
}

}  // namespace
}  // namespace lmoe::arch
