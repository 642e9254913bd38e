// Qwen 2 and 2.5: biases on q, k and v.
#include "arch/family.h"
#include "arch/qwen_windows.h"

namespace lmoe::arch {
namespace {

ModelConfig from_huggingface(const HuggingFaceConfig& config) {
  HuggingFaceDefaults defaults;
  defaults.max_position_embeddings = 32768;
  ModelConfig model = read_common(config, "qwen2", defaults);
  model.qkv_bias = true;
  model.sliding_window = qwen_windows(config, model.num_hidden_layers);
  return model;
}

ModelConfig from_gguf(const GgufConfig& config) {
  ModelConfig model = read_common(config, "qwen2");
  model.qkv_bias = true;
  return model;
}

}  // namespace

Family qwen2_family() { return {"qwen2", from_huggingface, "qwen2", from_gguf}; }

}  // namespace lmoe::arch
