// Llama 2 and 3, SmolLM2. GGUF files of Mistral say "llama" too.
#include "arch/common_config.h"
#include "arch/family.h"

namespace lmoe::arch {
namespace {

ModelConfig from_huggingface(const HuggingFaceConfig& config) {
  HuggingFaceDefaults defaults;
  defaults.eos_token_id = 2;
  ModelConfig model = read_common(config, "llama", defaults);
  model.qkv_bias = model.o_bias = config.boolean("attention_bias", false);
  model.mlp_bias = config.boolean("mlp_bias", false);
  return model;
}

ModelConfig from_gguf(const GgufConfig& config) {
  ModelConfig model = read_common(config, "llama");
  const int64_t window = config.integer("attention.sliding_window", {0, kLengthRange.maximum}, 0);
  model.sliding_window.assign(model.sliding_window.size(), window);
  return model;
}

}  // namespace

Family llama_family() {
  return {"llama",
          from_huggingface,
          "llama",
          from_gguf,
          /*gguf_rows_interleaved=*/true,
          /*gguf_norms_plus_one=*/false};
}

}  // namespace lmoe::arch
