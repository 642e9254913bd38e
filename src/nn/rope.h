// Rotary position embedding in Hugging Face's order: pairs are (i, i + head_dim / 2).
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::nn {

/// Angles of the tokens of one forward, [N, head_dim / 2]; float32, or double for double models.
struct RopeTable {
  at::Tensor cos, sin;
};

/// x [N, heads x head_dim] -> the same shape, every head turned by its token's angles.
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

}  // namespace lmoe::nn
