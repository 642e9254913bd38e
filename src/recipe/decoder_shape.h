// The sizes of a base model as the mixture grammar wants them.
#pragma once

#include "arch/model_config.h"
#include "spec/adapted_sites.h"

namespace lmoe::recipe {

inline spec::DecoderShape decoder_shape(const arch::ModelConfig& config) {
  return {static_cast<int>(config.num_hidden_layers), config.hidden_size,
          config.num_attention_heads * config.head_dim,
          config.num_key_value_heads * config.head_dim, config.intermediate_size};
}

}  // namespace lmoe::recipe
