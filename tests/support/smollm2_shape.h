// The sizes of SmolLM2-135M, for what is counted by hand or was measured on it.
#pragma once

#include "arch/model_config.h"

namespace lmoe::test {

inline arch::ModelConfig with_smollm2_shape(arch::ModelConfig config = {}) {
  config.vocab_size = 49152;
  config.num_hidden_layers = 30;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  return config;
}

}  // namespace lmoe::test
