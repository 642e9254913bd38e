// One layer of a frozen decoder: attention and gated MLP, each behind a norm and added to the
// residual stream.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "nn/attention.h"
#include "nn/forward_context.h"
#include "nn/gated_mlp.h"
#include "nn/projection.h"
#include "nn/rope.h"

namespace lmoe::nn {

/// Weights of the norms of a layer, in the type norms compute in; undefined where the family has
/// none.
struct LayerNorms {
  at::Tensor before_attention;
  at::Tensor after_attention;  ///< Gemma 2: on the attention's output, before it is added
  at::Tensor before_mlp;
  at::Tensor after_mlp;  ///< Gemma 2
  at::Tensor q, k;       ///< Qwen3: over each head, before RoPE
  double eps = 1e-6;
};

class DecoderLayer {
 public:
  DecoderLayer(int layer,
               LayerNorms norms,
               AttentionShape attention,
               GatedActivation activation,
               std::vector<FrozenLinear> qkv,
               std::vector<FrozenLinear> o,
               std::vector<FrozenLinear> gate_up,
               std::vector<FrozenLinear> down);

  /// hidden [N, H] -> [N, H]
  at::Tensor forward(const at::Tensor& hidden,
                     const RopeTable& rope,
                     ForwardContext& context) const;

  /// q,k,v | o | gate,up | down
  std::vector<ProjectionGroup*> projection_groups();
  GatedMlp& mlp() { return mlp_; }
  /// Whether anything changes what the frozen layer computes.
  bool is_plugged() const { return qkv_.is_plugged() || o_.is_plugged() || mlp_.is_plugged(); }

 private:
  at::Tensor attend(const at::Tensor& x, const RopeTable& rope, ForwardContext& context) const;

  int layer_;
  LayerNorms norms_;
  AttentionShape attention_;
  ProjectionGroup qkv_, o_;
  GatedMlp mlp_;
};

}  // namespace lmoe::nn
