// Hugging Face folders and GGUF files of the same random weights, both written with transformers
// and the gguf package.
#include "arch/base_model.h"

#include <gtest/gtest.h>

#include "arch/tensor_names.h"
#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "support/temp_folder.h"

namespace lmoe::arch {
namespace {

const fs::path kModels = fs::path(LMOE_FIXTURES) / "arch" / "models";

std::vector<float> read(BaseModel& model, const ExpectedTensor& tensor) {
  int64_t elements = 1;
  for (const int64_t size : tensor.shape) elements *= size;
  std::vector<float> values(static_cast<size_t>(elements));
  model.read(tensor.role, tensor.layer, tensor.shape, values);
  return values;
}

/// The tensor as the file has it, without any change.
std::vector<float> stored(const BaseModel& model, const std::string& name) {
  const io::TensorView& view = *model.source->find(name);
  std::vector<float> values(static_cast<size_t>(view.elements()));
  io::to_float32(view, values);
  return values;
}

class BothFormats : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<BaseModel> folder_ = open_base_model((kModels / GetParam()).string());
  std::unique_ptr<BaseModel> gguf_ =
      open_base_model((kModels / (std::string(GetParam()) + ".gguf")).string());
};

TEST_P(BothFormats, SayTheSameOfTheModel) {
  const ModelConfig &a = folder_->config, &b = gguf_->config;
  EXPECT_EQ(a.family, GetParam());
  EXPECT_EQ(a.family, b.family);
  EXPECT_EQ(a.vocab_size, b.vocab_size);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.num_key_value_heads, b.num_key_value_heads);
  EXPECT_EQ(a.max_position_embeddings, b.max_position_embeddings);
  EXPECT_NEAR(a.rms_norm_eps, b.rms_norm_eps, 1e-12);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.hidden_act, b.hidden_act);
  EXPECT_EQ(a.tie_word_embeddings, b.tie_word_embeddings);
  EXPECT_EQ(a.norm_plus_one, b.norm_plus_one);
  EXPECT_EQ(a.embedding_multiplier, b.embedding_multiplier);
  EXPECT_EQ(a.query_pre_attn_scalar, b.query_pre_attn_scalar);
  EXPECT_EQ(a.attn_logit_softcapping, b.attn_logit_softcapping);
  EXPECT_EQ(a.final_logit_softcapping, b.final_logit_softcapping);
  EXPECT_EQ(a.sliding_window, b.sliding_window);
  EXPECT_EQ(a.eos_token_ids, b.eos_token_ids);
  EXPECT_EQ(folder_->parameter_count(), gguf_->parameter_count());
}

TEST_P(BothFormats, GiveTheSameWeights) {
  const auto tensors = expected_tensors(folder_->config);
  EXPECT_EQ(tensors.size(), expected_tensors(gguf_->config).size());
  for (const ExpectedTensor& tensor : tensors) {
    const std::string name = folder_->tensor_name(tensor.role, tensor.layer);
    const std::vector<float> want = read(*folder_, tensor);
    EXPECT_EQ(want, stored(*folder_, name)) << name;
    const std::vector<float> got = read(*gguf_, tensor);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-7) << name << " " << i;
  }
  EXPECT_NO_THROW(folder_->check_all_read());
  EXPECT_NO_THROW(gguf_->check_all_read());
}

TEST_P(BothFormats, HaveTheSameTokenizerAndTemplate) {
  const std::string text = "hello there, the thing</s> größe 12";
  EXPECT_EQ(folder_->tokenizer->encode(text), gguf_->tokenizer->encode(text));
  EXPECT_EQ(folder_->chat_template, gguf_->chat_template);
  ASSERT_TRUE(folder_->chat_template);
  EXPECT_EQ(folder_->bos_token, "<s>");
  EXPECT_EQ(gguf_->bos_token, "<s>");
  EXPECT_EQ(folder_->eos_token, "</s>");
  EXPECT_EQ(gguf_->eos_token, "</s>");
}

TEST_P(BothFormats, HashFollowsContent) {
  const ContentHash folder = folder_->content_hash();
  EXPECT_EQ(folder, open_base_model((kModels / GetParam()).string())->content_hash());
  EXPECT_EQ(difference(folder, gguf_->content_hash()), "weights and tokenizer");
}

// content_hash.py derives these from the written form alone.
TEST(ContentHash, IsWhatTheWrittenFormSays) {
  const Json golden = Json::parse(read_file(kModels.parent_path() / "content_hash.json"));
  ASSERT_EQ(golden.size(), 4U);
  for (const auto& [name, expected] : golden.items()) {
    const ContentHash hash = open_base_model((kModels / name).string())->content_hash();
    EXPECT_EQ(hash.weights, expected["weights"]) << name;
    EXPECT_EQ(hash.tokenizer, expected["tokenizer"]) << name;
  }
}

TEST(ContentHash, TellsHowFarItIs) {
  const test::TempFolder folder;
  const std::vector<std::byte> large(40 << 20), small(3 << 20);
  const auto view = [](const char* name, const std::vector<std::byte>& bytes) {
    return io::TensorView{name, io::DType::kI8, {static_cast<int64_t>(bytes.size())}, bytes};
  };
  io::write_safetensors(folder.path() / "a", {view("a", small), view("b", large), view("c", {})});
  const auto file = io::SafetensorsFile::open(folder.path() / "a");
  std::vector<int64_t> seen;
  const std::string hash = hash_weights(*file, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 43 << 20);
    seen.push_back(done >> 20);
  });
  EXPECT_EQ(seen, (std::vector<int64_t>{16, 32, 43}));
  EXPECT_EQ(hash, hash_weights(*file));
}

INSTANTIATE_TEST_SUITE_P(Families,
                         BothFormats,
                         ::testing::Values("llama", "qwen2", "qwen3", "gemma2"));

/// A copy of a model folder to damage.
class ModelFolder : public ::testing::Test {
 protected:
  void SetUp() override { copy("qwen2"); }
  void copy(const std::string& family) {
    fs::remove_all(folder_.path() / "m");
    fs::copy(kModels / family, folder_.path() / "m", fs::copy_options::recursive);
  }
  fs::path path(const std::string& name) const { return folder_.path() / "m" / name; }
  void write(const std::string& name, const std::string& text) {
    write_file_atomically(path(name), text);
  }
  void edit_config(const std::function<void(Json&)>& edit,
                   const std::string& name = "config.json") {
    Json json = Json::parse(read_file(path(name)));
    edit(json);
    write(name, json.dump());
  }
  /// All tensors of the folder, changed, written back.
  void edit_tensors(const std::function<void(std::vector<io::TensorView>&)>& edit) {
    const auto file = io::open_safetensors_folder(folder_.path() / "m");
    std::vector<io::TensorView> tensors;
    for (const std::string& name : file->names()) tensors.push_back(*file->find(name));
    edit(tensors);
    io::write_safetensors(path("model.safetensors"), tensors);
  }
  std::unique_ptr<BaseModel> open() { return open_base_model((folder_.path() / "m").string()); }
  /// The message of the error; empty when there is none.
  std::string error() {
    try {
      open();
      return "";
    } catch (const Error& caught) {
      return caught.what();
    }
  }
  test::TempFolder folder_;
};

TEST_F(ModelFolder, TheTokenizersHashFollowsWhatDecidesIds) {
  const ContentHash before = open()->content_hash();
  edit_config([](Json& json) { json["truncation"] = {{"max_length", 9}}; }, "tokenizer.json");
  edit_config([](Json& json) { json["chat_template"] = "other"; }, "tokenizer_config.json");
  EXPECT_EQ(open()->content_hash(), before) << "spacing, truncation and template decide no id";
  const std::vector<std::function<void(Json&)>> edits = {
      [](Json& json) { json["model"]["merges"].erase(json["model"]["merges"].size() - 1); },
      [](Json& json) { json["model"]["vocab"]["new"] = 1; },
      [](Json& json) { json["added_tokens"][0]["lstrip"] = true; },
      [](Json& json) {
        json["normalizer"] = {{"type", "NFC"}};
      }};
  for (size_t i = 0; i < edits.size(); ++i) {
    copy("qwen2");
    edit_config(edits[i], "tokenizer.json");
    const std::string text = read_file(path("tokenizer.json"));
    const ContentHash after = {before.weights,
                               hash_json_tokenizer(text, read_file(path("tokenizer_config.json")))};
    EXPECT_EQ(difference(after, before), "tokenizer") << i;
  }
  copy("qwen2");
  edit_config([](Json& json) { json["add_bos_token"] = true; }, "tokenizer_config.json");
  EXPECT_EQ(difference(open()->content_hash(), before), "tokenizer");
}

TEST_F(ModelFolder, TheWeightsHashFollowsBytes) {
  const ContentHash before = open()->content_hash();
  std::vector<std::byte> bytes;
  edit_tensors([&](auto& tensors) {
    bytes.assign(tensors[0].bytes.begin(), tensors[0].bytes.end());
    bytes[0] ^= std::byte{1};
    tensors[0].bytes = bytes;
  });
  EXPECT_EQ(difference(open()->content_hash(), before), "weights");
}

TEST_F(ModelFolder, TensorsThatNobodyKnowsAreNamed) {
  edit_tensors([](auto& tensors) {
    tensors.push_back(tensors.front());
    tensors.back().name = "model.layers.0.self_attn.o_proj.bias";
  });
  EXPECT_NE(error().find("model.layers.0.self_attn.o_proj.bias"), std::string::npos) << error();
}

TEST_F(ModelFolder, MissingTensorsAreNamed) {
  edit_tensors([](auto& tensors) {
    std::erase_if(tensors, [](auto& t) { return t.name == "model.norm.weight"; });
  });
  EXPECT_NE(error().find("lacks tensors that its configuration asks for: model.norm.weight"),
            std::string::npos)
      << error();
}

TEST_F(ModelFolder, MisshapenTensorsAreNamed) {
  edit_config([](Json& config) { config["intermediate_size"] = 25; });
  EXPECT_NE(error().find("mlp.gate_proj.weight has shape [24, 16], expected [25, 16]"),
            std::string::npos)
      << error();
  copy("qwen2");
  edit_config([](Json& config) { config["vocab_size"] = 281; });
  EXPECT_NE(error().find("embed_tokens"), std::string::npos) << error();
}

TEST_F(ModelFolder, NeedlessTensorsAreIgnored) {
  edit_tensors([](auto& tensors) {
    const io::TensorView some = tensors.front();
    for (const char* name : {"lm_head.weight", "model.layers.1.self_attn.rotary_emb.inv_freq",
                             "model.rotary_emb.inv_freq"}) {
      tensors.push_back(some);
      tensors.back().name = name;
    }
  });
  const auto model = open();
  EXPECT_FALSE(model->has(TensorRole::kLmHead, -1)) << "the head is tied";
  for (const ExpectedTensor& tensor : expected_tensors(model->config)) read(*model, tensor);
  EXPECT_NO_THROW(model->check_all_read());
}

TEST_F(ModelFolder, UnreadTensorsAreNamed) {
  const auto model = open();
  for (const ExpectedTensor& tensor : expected_tensors(model->config))
    if (tensor.role != TensorRole::kDown) read(*model, tensor);
  try {
    model->check_all_read();
    FAIL();
  } catch (const Error& caught) {
    EXPECT_NE(std::string(caught.what()).find("model.layers.0.mlp.down_proj.weight"),
              std::string::npos);
  }
}

TEST_F(ModelFolder, ReadingWhatAModelLacksIsAnError) {
  const auto model = open();
  std::vector<float> values(16);
  EXPECT_THROW(model->read(TensorRole::kLmHead, -1, {16}, values), Error);
  EXPECT_THROW(model->read(TensorRole::kFinalNorm, -1, {15}, values), Error);
  EXPECT_THROW(model->read(TensorRole::kQ, 2, {16, 16}, values), Error);
  EXPECT_NO_THROW(model->read(TensorRole::kFinalNorm, -1, {16}, values));
}

TEST_F(ModelFolder, FilesThatAreMissingOrMalformed) {
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
    for (const char* text : {"", "{", "[]", "3", "{\"a\":1,\"a\":2}"}) {
      copy("qwen2");
      write(name, text);
      EXPECT_NE(error(), "") << name << " " << text;
    }
  }
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    copy("qwen2");
    fs::remove(path(name));
    EXPECT_NE(error(), "") << name;
  }
}

TEST_F(ModelFolder, QuantisedCheckpointsAreRefused) {
  edit_config([](Json& config) { config["quantization_config"] = {{"quant_method", "gptq"}}; });
  EXPECT_NE(error().find("quantization_config"), std::string::npos) << error();
}

TEST_F(ModelFolder, VocabularyLargerThanTheModelIsAnError) {
  edit_config([](Json& config) { config["vocab_size"] = 200; });
  edit_tensors([](auto& tensors) {
    for (io::TensorView& tensor : tensors) {
      if (tensor.shape[0] != 280) continue;
      tensor.shape[0] = 200;
      tensor.bytes = tensor.bytes.first(tensor.bytes.size() * 200 / 280);
    }
  });
  EXPECT_NE(error().find("the tokenizer has 280 tokens"), std::string::npos) << error();
}

TEST_F(ModelFolder, EndOfSequenceIdsOfTheGenerationConfigCount) {
  edit_config([](Json& config) { config["eos_token_id"] = {1, 7}; }, "generation_config.json");
  EXPECT_EQ(open()->config.eos_token_ids, (std::vector<int64_t>{1, 7}));
  edit_config([](Json& config) { config["eos_token_id"] = 280; }, "generation_config.json");
  EXPECT_NE(error().find("generation_config.json: eos_token_id"), std::string::npos) << error();
}

TEST_F(ModelFolder, AnswersEndAtTheIdsOfAllFiles) {
  edit_config([](Json& config) { config["eos_token_id"] = {7, 1}; }, "generation_config.json");
  EXPECT_EQ(open()->end_tokens(), (std::vector<text::TokenId>{1, 7}));
}

TEST_F(ModelFolder, AnswersEndAtTheEndOfATurnThatNoFileNames) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::string text = read_file(path(name));
    const std::string from = "\"<s>\"", to = "\"<end_of_turn>\"";
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
    write(name, text);
  }
  EXPECT_EQ(open()->end_tokens(), (std::vector<text::TokenId>{1, 0}));
}

TEST_F(ModelFolder, ChatTemplatesInEveryPlace) {
  fs::remove(path("chat_template.jinja"));
  EXPECT_FALSE(open()->chat_template);
  const auto set = [&](const Json& value) {
    edit_config([&](Json& config) { config["chat_template"] = value; }, "tokenizer_config.json");
  };
  set("one");
  EXPECT_EQ(open()->chat_template, "one");
  set(Json::array(
      {{{"name", "tool_use"}, {"template", "t"}}, {{"name", "default"}, {"template", "d"}}}));
  EXPECT_EQ(open()->chat_template, "d");
  write("chat_template.jinja", "file");
  EXPECT_EQ(open()->chat_template, "file");
  fs::remove(path("chat_template.jinja"));
  set(7);
  EXPECT_NE(error().find("chat_template"), std::string::npos) << error();
  set(Json::array({"x"}));
  EXPECT_NE(error(), "");
}

TEST_F(ModelFolder, SpecialTokensAsTextOrObject) {
  edit_config(
      [](Json& config) {
        config["bos_token"] = {{"content", "<s>"}, {"lstrip", false}};
      },
      "tokenizer_config.json");
  EXPECT_EQ(open()->bos_token, "<s>");
  edit_config([](Json& config) { config["bos_token"] = 3; }, "tokenizer_config.json");
  EXPECT_NE(error(), "");
}

}  // namespace
}  // namespace lmoe::arch
