// Decoders of a few thousand random weights, in memory.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <memory>
#include <vector>

#include "models/decoder.h"
#include "models/decoder_weights.h"
#include "nn/dispatch.h"

namespace lmoe::test {

/// Two layers, grouped queries, every projection of a different shape where that is possible.
inline arch::ModelConfig tiny_config() {
  arch::ModelConfig config;
  config.family = "llama";
  config.vocab_size = 50;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.max_position_embeddings = 256;
  config.rms_norm_eps = 1e-5;
  config.tie_word_embeddings = true;
  config.sliding_window = {0, 0};
  return config;
}

/// Everything a family can switch on at once.
inline arch::ModelConfig busy_config() {
  arch::ModelConfig config = tiny_config();
  config.qkv_bias = config.o_bias = config.mlp_bias = true;
  config.has_qk_norm = config.has_post_norms = true;
  config.hidden_act = arch::Activation::kGeluTanh;
  config.tie_word_embeddings = false;
  config.sliding_window = {5, 0};
  config.attn_logit_softcapping = 2.0;
  config.final_logit_softcapping = 3.0;
  config.query_pre_attn_scalar = 6.0;
  config.embedding_multiplier = 4.0;
  return config;
}

/// The same seed gives the same weights on every device and, up to rounding, in every type.
inline std::unique_ptr<models::Decoder> tiny_decoder(
    const arch::ModelConfig& config = tiny_config(),
    at::ScalarType dtype = at::kFloat,
    uint64_t seed = 7,
    at::Device device = at::kCPU) {
  at::manual_seed(seed);
  const auto matrix = [&](int64_t out, int64_t in) {
    return (at::randn({out, in}, at::kDouble) / std::sqrt(static_cast<double>(in)))
        .to(device, dtype);
  };
  const auto norm = [&](int64_t width) {
    return (1 + 0.3 * at::randn({width}, at::kDouble)).to(device, nn::accumulate_dtype(dtype));
  };
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const int64_t q = config.num_attention_heads * config.head_dim;
  const int64_t kv = config.num_key_value_heads * config.head_dim;
  models::DecoderWeights weights;
  weights.embedding = matrix(config.vocab_size, hidden) * 3;
  weights.final_norm = norm(hidden);
  weights.lm_head =
      config.tie_word_embeddings ? weights.embedding : matrix(config.vocab_size, hidden);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    using Role = arch::TensorRole;
    const auto linear = [&](const char* name, Role role, int64_t out, int64_t in, bool has_bias) {
      return nn::FrozenLinear{name, arch::BaseModel::module_path(role, layer), matrix(out, in),
                              has_bias ? matrix(out, 1).view({out}) : at::Tensor()};
    };
    models::LayerWeights part;
    part.norms.eps = config.rms_norm_eps;
    part.norms.before_attention = norm(hidden);
    part.norms.before_mlp = norm(hidden);
    if (config.has_post_norms) {
      part.norms.after_attention = norm(hidden);
      part.norms.after_mlp = norm(hidden);
    }
    if (config.has_qk_norm) {
      part.norms.q = norm(config.head_dim);
      part.norms.k = norm(config.head_dim);
    }
    part.qkv = {linear("q_proj", Role::kQ, q, hidden, config.qkv_bias),
                linear("k_proj", Role::kK, kv, hidden, config.qkv_bias),
                linear("v_proj", Role::kV, kv, hidden, config.qkv_bias)};
    part.o = {linear("o_proj", Role::kO, hidden, q, config.o_bias)};
    part.gate_up = {linear("gate_proj", Role::kGate, inner, hidden, config.mlp_bias),
                    linear("up_proj", Role::kUp, inner, hidden, config.mlp_bias)};
    part.down = {linear("down_proj", Role::kDown, hidden, inner, config.mlp_bias)};
    weights.layers.push_back(std::move(part));
  }
  return models::Decoder::build(config, std::move(weights));
}

/// Documents of these lengths, packed.
inline nn::ForwardContext packed_documents(const std::vector<int64_t>& lengths) {
  nn::ForwardContext context;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    context.segments.push_back({start, length});
    start += length;
  }
  return context;
}

}  // namespace lmoe::test
