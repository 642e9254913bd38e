// Causal attention of packed documents, each within itself and with its passages kept apart
// (base/passage.h): grouped-query, sliding window, soft-capping, with or without a KV cache.
//
// Nothing is computed between documents and no score matrix outlives its block of queries: a
// document of L tokens costs L^2 / 2 scores per head, however many documents share a forward.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/forward_context.h"

namespace lmoe::nn {

struct AttentionShape {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;  ///< query head j reads key head j / (num_heads / num_kv_heads)
  int64_t head_dim = 0;
  double scale = 1;            ///< of q . k, usually head_dim^-1/2
  int64_t sliding_window = 0;  ///< a query sees its last `sliding_window` keys, itself included; 0
                               ///< = all
  double softcap = 0;          ///< scores become cap * tanh(scores / cap); 0 = off
};

/// q [N, num_heads x head_dim], k and v [N, num_kv_heads x head_dim], after RoPE ->
/// [N, num_heads x head_dim]. With `context.kv_cache`, k and v are first appended to layer `layer`
/// of each segment's slot, and queries see the slot's past too; this has no gradient
/// (kInvalidArgument).
at::Tensor attention(const at::Tensor& q,
                     const at::Tensor& k,
                     const at::Tensor& v,
                     const AttentionShape& shape,
                     int64_t layer,
                     ForwardContext& context);

/// Keys and values of past tokens, each [slots, capacity, num_kv_heads, head_dim], contiguous.
struct PastRows {
  at::Tensor keys, values;
};

/// The same for one that is no layer of the decoder: k and v are written into `past` behind each
/// segment's past. Has no gradient (kInvalidArgument).
at::Tensor attention_with_past(const at::Tensor& q,
                               const at::Tensor& k,
                               const at::Tensor& v,
                               const AttentionShape& shape,
                               const PastRows& past,
                               const std::vector<Segment>& segments);

}  // namespace lmoe::nn
