// A decoder as data: every number and switch the one configurable Decoder needs, whatever family it
// came from.
//
// Names are those of Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace lmoe::arch {

enum class Activation { kSilu, kGeluTanh, kGelu };

/// How rotary frequencies are stretched beyond the length a model was trained for.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kDynamicNtk, kLlama3, kYarn, kFactors };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  ///< llama3
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32, beta_slow = 1;  ///< yarn
  bool truncate = true;                  ///< yarn: correction range rounded to whole dimensions
  /// yarn: multiplies cos and sin. Resolved when a model is opened, from mscale or 0.1 ln(factor)
  /// + 1.
  std::optional<double> attention_factor;
  std::vector<double> factors;  ///< GGUF rope_freqs: divide frequency i by factors[i]
};

struct ModelConfig {
  std::string family;  ///< "llama", "mistral", "qwen2", "qwen3", "gemma2"
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  Activation hidden_act = Activation::kSilu;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;            ///< Qwen2
  bool o_bias = false;              ///< Llama with attention_bias
  bool mlp_bias = false;            ///< Llama with mlp_bias
  bool has_qk_norm = false;         ///< Qwen3: RMSNorm per head before RoPE
  bool norm_plus_one = false;       ///< Gemma: norms multiply by (1 + weight)
  bool has_post_norms = false;      ///< Gemma 2: norms after attention and after the MLP too
  double embedding_multiplier = 1;  ///< Gemma: sqrt(hidden_size)
  std::optional<double>
      query_pre_attn_scalar;  ///< Gemma 2: scale is its -1/2 power instead of head_dim's
  std::optional<double> attn_logit_softcapping;   ///< Gemma 2
  std::optional<double> final_logit_softcapping;  ///< Gemma 2
  std::vector<int64_t> sliding_window;  ///< per layer; 0 = full attention, w = the last w positions
  std::vector<int64_t> eos_token_ids;   ///< as files name them; BaseModel::end_tokens adds to them
};

}  // namespace lmoe::arch
