#include "nn/decoder_layer.h"

#include <ATen/ATen.h>

#include "nn/rms_norm.h"

namespace lmoe::nn {

namespace {

at::Tensor norm_heads(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return weight.defined() ? rms_norm(x.reshape({-1, weight.size(0)}), weight, eps).view_as(x) : x;
}

at::Tensor norm_if_any(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return weight.defined() ? rms_norm(x, weight, eps) : x;
}

}  // namespace

DecoderLayer::DecoderLayer(int layer,
                           LayerNorms norms,
                           AttentionShape attention,
                           GatedActivation activation,
                           std::vector<FrozenLinear> qkv,
                           std::vector<FrozenLinear> o,
                           std::vector<FrozenLinear> gate_up,
                           std::vector<FrozenLinear> down)
    : layer_(layer),
      norms_(std::move(norms)),
      attention_(attention),
      qkv_(layer, "self_attn", std::move(qkv)),
      o_(layer, "self_attn", std::move(o)),
      mlp_(layer, activation, std::move(gate_up), std::move(down)) {}

std::vector<ProjectionGroup*> DecoderLayer::projection_groups() {
  std::vector<ProjectionGroup*> groups = {&qkv_, &o_};
  for (ProjectionGroup* group : mlp_.projection_groups()) groups.push_back(group);
  return groups;
}

at::Tensor DecoderLayer::forward(const at::Tensor& hidden,
                                 const RopeTable& rope,
                                 ForwardContext& context) const {
  const at::Tensor attended =
      attend(rms_norm(hidden, norms_.before_attention, norms_.eps), rope, context);
  const NormedSum middle =
      add_and_norm(hidden, norm_if_any(attended, norms_.after_attention, norms_.eps),
                   norms_.before_mlp, norms_.eps);
  const at::Tensor mixed = mlp_.forward(middle.normed, context);
  return middle.sum + norm_if_any(mixed, norms_.after_mlp, norms_.eps);
}

at::Tensor DecoderLayer::attend(const at::Tensor& x,
                                const RopeTable& rope,
                                ForwardContext& context) const {
  std::vector<at::Tensor> qkv = qkv_.forward({x, x}, context);
  const at::Tensor q = apply_rope(norm_heads(qkv[0], norms_.q, norms_.eps), rope);
  const at::Tensor k = apply_rope(norm_heads(qkv[1], norms_.k, norms_.eps), rope);
  const at::Tensor v = std::move(qkv[2]);
  qkv.clear();
  const at::Tensor out = attention(q, k, v, attention_, layer_, context);
  return o_.forward({out, x}, context)[0];
}

}  // namespace lmoe::nn
