// Qwen 3: norms on every head of q and k, a head size of its own.
#include "arch/family.h"
#include "arch/qwen_windows.h"

namespace lmoe::arch {
namespace {

ModelConfig from_huggingface(const HuggingFaceConfig& config) {
  HuggingFaceDefaults defaults;
  defaults.head_dim = 128;
  defaults.max_position_embeddings = 32768;
  ModelConfig model = read_common(config, "qwen3", defaults);
  model.has_qk_norm = true;
  model.qkv_bias = model.o_bias = config.boolean("attention_bias", false);
  model.sliding_window = qwen_windows(config, model.num_hidden_layers);
  return model;
}

ModelConfig from_gguf(const GgufConfig& config) {
  ModelConfig model = read_common(config, "qwen3");
  model.has_qk_norm = true;
  return model;
}

}  // namespace

Family qwen3_family() { return {"qwen3", from_huggingface, "qwen3", from_gguf}; }

}  // namespace lmoe::arch
