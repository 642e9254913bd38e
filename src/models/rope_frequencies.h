// Rotary frequencies of a configuration, with every scaling that `arch` reads.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/model_config.h"
#include "nn/forward_context.h"
#include "nn/rope.h"

namespace lmoe::models {

struct RopeFrequencies {
  std::vector<double> inverse;  ///< radians per position, [head_dim / 2]
  double attention_factor = 1;  ///< multiplies cos and sin (YaRN)
};

/// `sequence_length` matters for dynamic NTK only, which stretches beyond
/// `max_position_embeddings`. Formulas of transformers' modeling_rope_utils.
RopeFrequencies rope_frequencies(const arch::ModelConfig& config, int64_t sequence_length);

/// Angles of all tokens of a forward on `device`, in the type `dtype` computes in. With dynamic NTK
/// each segment is stretched by its own length, past included; keys already in a cache keep their
/// angles.
nn::RopeTable make_rope_table(const arch::ModelConfig& config,
                              const nn::ForwardContext& context,
                              at::ScalarType dtype,
                              at::Device device);

}  // namespace lmoe::models
