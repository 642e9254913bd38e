// Mistral: Llama with a window on every layer. Its GGUF files say "llama".
#include "arch/common_config.h"
#include "arch/family.h"

namespace lmoe::arch {
namespace {

ModelConfig from_huggingface(const HuggingFaceConfig& config) {
  HuggingFaceDefaults defaults;
  defaults.num_key_value_heads = 8;
  defaults.max_position_embeddings = 4096 * 32;
  defaults.eos_token_id = 2;
  ModelConfig model = read_common(config, "mistral", defaults);
  // A missing key means the default window, an explicit null none.
  const int64_t missing = config.json().contains("sliding_window") ? 0 : 4096;
  const int64_t window = config.integer("sliding_window", kLengthRange, missing);
  model.sliding_window.assign(model.sliding_window.size(), window);
  return model;
}

}  // namespace

Family mistral_family() { return {"mistral", from_huggingface, nullptr, nullptr}; }

}  // namespace lmoe::arch
