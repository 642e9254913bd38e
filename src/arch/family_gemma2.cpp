// Gemma 2: norms before and after both halves of a block, soft-capped logits, every other layer
// with a window.
#include <cmath>

#include "arch/common_config.h"
#include "arch/family.h"
#include "base/error.h"

namespace lmoe::arch {
namespace {

constexpr int64_t kLayersOf27B = 46;
constexpr double kMaxCap = 1e6;

/// Layers 0, 2, 4, … slide.
std::vector<std::string> alternating_layers(int64_t count) {
  std::vector<std::string> types;
  for (int64_t layer = 0; layer < count; ++layer)
    types.emplace_back(layer % 2 == 0 ? "sliding_attention" : "full_attention");
  return types;
}

void set_traits(ModelConfig& model) {
  model.norm_plus_one = true;
  model.has_post_norms = true;
  model.embedding_multiplier = std::sqrt(static_cast<double>(model.hidden_size));
}

/// A missing key means the default, an explicit null no capping.
std::optional<double> read_cap(const HuggingFaceConfig& config, const char* key, double fallback) {
  if (config.json().contains(key) && !config.has(key)) return std::nullopt;
  return config.number(key, 1e-6, kMaxCap, fallback);
}

ModelConfig from_huggingface(const HuggingFaceConfig& config) {
  HuggingFaceDefaults defaults;
  defaults.num_key_value_heads = 4;
  defaults.head_dim = 256;
  defaults.max_position_embeddings = 8192;
  defaults.tie_word_embeddings = true;
  defaults.eos_token_id = 1;
  defaults.activation_key = "hidden_activation";
  defaults.activation = "gelu_pytorch_tanh";
  ModelConfig model = read_common(config, "gemma2", defaults);
  if (config.boolean("use_bidirectional_attention", false))
    fail(ErrorCode::kUnsupported, config.where("use_bidirectional_attention"),
         ": only causal attention is built");
  set_traits(model);
  model.qkv_bias = model.o_bias = config.boolean("attention_bias", false);
  model.query_pre_attn_scalar = config.number("query_pre_attn_scalar", 1e-6, 1e9, 256);
  model.attn_logit_softcapping = read_cap(config, "attn_logit_softcapping", 50);
  model.final_logit_softcapping = read_cap(config, "final_logit_softcapping", 30);
  const int64_t missing = config.json().contains("sliding_window") ? 0 : 4096;
  const std::vector<std::string> types = config.has("layer_types")
                                             ? config.texts("layer_types")
                                             : alternating_layers(model.num_hidden_layers);
  model.sliding_window = windows_of(types, model.num_hidden_layers,
                                    config.integer("sliding_window", kLengthRange, missing),
                                    config.where("layer_types"));
  return model;
}

ModelConfig from_gguf(const GgufConfig& config) {
  ModelConfig model = read_common(config, "gemma2");
  set_traits(model);
  model.hidden_act = Activation::kGeluTanh;
  // The metadata do not hold it: llama.cpp tells the 27B model, whose heads are narrower than the
  // scale says, by its layers.
  model.query_pre_attn_scalar = static_cast<double>(
      model.num_hidden_layers == kLayersOf27B ? model.hidden_size / model.num_attention_heads
                                              : model.head_dim);
  model.attn_logit_softcapping = config.number("attn_logit_softcapping", 1e-6, kMaxCap, 50);
  model.final_logit_softcapping = config.number("final_logit_softcapping", 1e-6, kMaxCap, 30);
  model.sliding_window =
      windows_of(alternating_layers(model.num_hidden_layers), model.num_hidden_layers,
                 config.integer("attention.sliding_window", kLengthRange, 4096),
                 config.where("attention.sliding_window"));
  return model;
}

}  // namespace

Family gemma2_family() {
  return {"gemma2",
          from_huggingface,
          "gemma2",
          from_gguf,
          /*gguf_rows_interleaved=*/false,
          /*gguf_norms_plus_one=*/true};
}

}  // namespace lmoe::arch
