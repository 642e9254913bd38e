// What most families have in common, so that a family's file only says what is its own.
#pragma once

#include <optional>
#include <string>

#include "arch/config_reader.h"
#include "arch/model_config.h"

namespace lmoe::arch {

/// What transformers takes for a key that config.json lacks.
struct HuggingFaceDefaults {
  std::optional<int64_t> num_key_value_heads;  ///< num_attention_heads when unset
  std::optional<int64_t> head_dim;             ///< hidden_size / num_attention_heads when unset
  int64_t max_position_embeddings = 2048;
  bool tie_word_embeddings = false;
  std::optional<int64_t> eos_token_id;
  const char* activation_key = "hidden_act";
  const char* activation = "silu";
};

/// Sizes, norm, rotary positions, activation, tying, end-of-sequence ids; full attention in every
/// layer. Throws kCorruptData (missing, out of range, heads that do not divide), kUnsupported.
ModelConfig read_common(const HuggingFaceConfig& config,
                        const char* family,
                        const HuggingFaceDefaults& defaults);
/// The same from GGUF. Biases and tied heads are told by the tensors that are there.
ModelConfig read_common(const GgufConfig& config, const char* family);

/// `rope_parameters` (transformers 5) or `rope_scaling` and `rope_theta` (before). Throws
/// kCorruptData, kUnsupported.
void read_rope(const HuggingFaceConfig& config, ModelConfig& model);
/// `rope.freq_base`, `rope.scaling.*` and the tensor rope_freqs.weight. Throws kCorruptData,
/// kUnsupported.
void read_rope(const GgufConfig& config, ModelConfig& model);

/// "silu", "gelu", "gelu_pytorch_tanh", … Throws kUnsupported with the names known.
Activation parse_activation(const std::string& name, const std::string& where);

/// Windows per layer from a list of layer types. Throws kCorruptData (length; a sliding layer
/// without a window), kUnsupported (another type). `window` 0 means none.
std::vector<int64_t> windows_of(const std::vector<std::string>& layer_types,
                                int64_t num_layers,
                                int64_t window,
                                const std::string& where);

/// Throws kCorruptData when the sizes of a model contradict each other.
void check_sizes(const ModelConfig& model, const std::string& where);

}  // namespace lmoe::arch
