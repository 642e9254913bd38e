#include "arch/common_config.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::arch {

Activation parse_activation(const std::string& name, const std::string& where) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::kGeluTanh;
  fail(ErrorCode::kUnsupported, where, ": given \"", name,
       "\", expected one of silu, swish, gelu, gelu_pytorch_tanh, gelu_new");
}

std::vector<int64_t> windows_of(const std::vector<std::string>& layer_types,
                                int64_t num_layers,
                                int64_t window,
                                const std::string& where) {
  LMOE_CHECK_DATA(static_cast<int64_t>(layer_types.size()) == num_layers, where, ": given ",
                  layer_types.size(), " layers, expected ", num_layers);
  std::vector<int64_t> windows;
  for (const std::string& type : layer_types) {
    if (type != "full_attention" && type != "sliding_attention")
      fail(ErrorCode::kUnsupported, where, ": given \"", type,
           "\", expected full_attention or sliding_attention");
    const bool slides = type == "sliding_attention";
    LMOE_CHECK_DATA(!slides || window > 0, where, ": a layer slides, but no sliding_window is set");
    windows.push_back(slides ? window : 0);
  }
  return windows;
}

void check_sizes(const ModelConfig& model, const std::string& where) {
  LMOE_CHECK_DATA(model.num_attention_heads % model.num_key_value_heads == 0, where,
                  "num_attention_heads must be a multiple of num_key_value_heads: given ",
                  model.num_attention_heads, " and ", model.num_key_value_heads);
  LMOE_CHECK_DATA(model.head_dim % 2 == 0, where,
                  "head_dim must be even for rotary positions: given ", model.head_dim);
}

namespace {

/// hidden_size / num_attention_heads.
int64_t derived_head_dim(const ModelConfig& model, const std::string& where) {
  LMOE_CHECK_DATA(model.hidden_size % model.num_attention_heads == 0, where,
                  "hidden_size must be a multiple of num_attention_heads: given ",
                  model.hidden_size, " and ", model.num_attention_heads);
  return model.hidden_size / model.num_attention_heads;
}

}  // namespace

ModelConfig read_common(const HuggingFaceConfig& config,
                        const char* family,
                        const HuggingFaceDefaults& defaults) {
  ModelConfig model;
  model.family = family;
  model.vocab_size = config.integer("vocab_size", kSizeRange);
  model.hidden_size = config.integer("hidden_size", kSizeRange);
  model.intermediate_size = config.integer("intermediate_size", kSizeRange);
  model.num_hidden_layers = config.integer("num_hidden_layers", kLayerRange);
  model.num_attention_heads = config.integer("num_attention_heads", {1, 65536});
  model.num_key_value_heads =
      config.integer("num_key_value_heads", {1, model.num_attention_heads},
                     defaults.num_key_value_heads.value_or(model.num_attention_heads));
  model.head_dim = config.has("head_dim") ? config.integer("head_dim", {2, 65536})
                   : defaults.head_dim    ? *defaults.head_dim
                                          : derived_head_dim(model, config.where(""));
  model.max_position_embeddings =
      config.integer("max_position_embeddings", kLengthRange, defaults.max_position_embeddings);
  model.rms_norm_eps = config.number("rms_norm_eps", 0, 1, 1e-6);
  model.hidden_act = parse_activation(config.text(defaults.activation_key, defaults.activation),
                                      config.where(defaults.activation_key));
  model.tie_word_embeddings = config.boolean("tie_word_embeddings", defaults.tie_word_embeddings);
  model.sliding_window.assign(static_cast<size_t>(model.num_hidden_layers), 0);
  model.eos_token_ids = config.token_ids("eos_token_id", model.vocab_size);
  if (defaults.eos_token_id && !config.json().contains("eos_token_id"))
    model.eos_token_ids = {*defaults.eos_token_id};
  check_sizes(model, config.where(""));
  read_rope(config, model);
  return model;
}

ModelConfig read_common(const GgufConfig& config, const char* family) {
  if (config.integer("expert_count", {0, 65536}, 0) > 0)
    fail(ErrorCode::kUnsupported, config.where("expert_count"),
         ": bases that are mixtures of experts are not built");
  const io::TensorView* embedding = config.file().find("token_embd.weight");
  LMOE_CHECK_DATA(embedding != nullptr && embedding->shape.size() == 2, "[load_base] ",
                  config.file().description(), " has no two-dimensional tensor token_embd.weight");
  ModelConfig model;
  model.family = family;
  model.vocab_size = config.integer("vocab_size", kSizeRange, embedding->shape[0]);
  model.hidden_size = config.integer("embedding_length", kSizeRange);
  model.intermediate_size = config.integer("feed_forward_length", kSizeRange);
  model.num_hidden_layers = config.integer("block_count", kLayerRange);
  model.num_attention_heads = config.integer("attention.head_count", {1, 65536});
  model.num_key_value_heads = config.integer(
      "attention.head_count_kv", {1, model.num_attention_heads}, model.num_attention_heads);
  model.head_dim = config.has("attention.key_length")
                       ? config.integer("attention.key_length", {2, 65536})
                       : derived_head_dim(model, config.where(""));
  const int64_t value_length = config.integer("attention.value_length", {2, 65536}, model.head_dim);
  if (value_length != model.head_dim)
    fail(ErrorCode::kUnsupported, config.where("attention.value_length"), ": given ", value_length,
         ", expected the key's length ", model.head_dim);
  model.max_position_embeddings = config.integer("context_length", kLengthRange);
  model.rms_norm_eps = config.number("attention.layer_norm_rms_epsilon", 0, 1);
  model.sliding_window.assign(static_cast<size_t>(model.num_hidden_layers), 0);
  const auto has = [&](const char* name) { return config.file().find(name) != nullptr; };
  model.tie_word_embeddings = !has("output.weight");
  model.qkv_bias = has("blk.0.attn_q.bias");
  model.o_bias = has("blk.0.attn_output.bias");
  model.mlp_bias = has("blk.0.ffn_gate.bias");
  model.has_qk_norm = has("blk.0.attn_q_norm.weight");
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    if (!config.file().has(key)) continue;
    const int64_t id = check_range(config.file().get_int(key, 0), {0, model.vocab_size - 1},
                                   "[load_base] " + config.file().description() + ": " + key);
    if (std::find(model.eos_token_ids.begin(), model.eos_token_ids.end(), id) ==
        model.eos_token_ids.end())
      model.eos_token_ids.push_back(id);
  }
  check_sizes(model, config.where(""));
  read_rope(config, model);
  return model;
}

}  // namespace lmoe::arch
