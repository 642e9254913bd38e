// Roles of tensors and what files call them.
#pragma once

#include <string>
#include <vector>

#include "arch/base_model.h"
#include "arch/model_config.h"

namespace lmoe::arch {

/// "model.layers.3.self_attn.q_proj.weight"; empty when a model of this configuration has no such
/// tensor.
std::string huggingface_tensor_name(const ModelConfig& config, TensorRole role, int layer);
/// "blk.3.attn_q.weight"; empty when a model of this configuration has no such tensor.
std::string gguf_tensor_name(const ModelConfig& config, TensorRole role, int layer);

/// A tensor that a model of some configuration consists of.
struct ExpectedTensor {
  TensorRole role;
  int layer;  ///< -1 outside the layers
  std::vector<int64_t> shape;
};

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

bool is_norm(TensorRole role);

}  // namespace lmoe::arch
