#include "arch/tensor_names.h"

#include <utility>

#include "base/error.h"

namespace lmoe::arch {
namespace {

struct RoleNames {
  TensorRole role;
  bool in_layer;
  const char* huggingface;
  const char* gguf;
};

/// Gemma 2 uses the GGUF names of its norms differently; see gguf_tensor_name.
constexpr RoleNames kNames[] = {
    {TensorRole::kEmbedding, false, "model.embed_tokens.weight", "token_embd.weight"},
    {TensorRole::kFinalNorm, false, "model.norm.weight", "output_norm.weight"},
    {TensorRole::kLmHead, false, "lm_head.weight", "output.weight"},
    {TensorRole::kInputNorm, true, "input_layernorm.weight", "attn_norm.weight"},
    {TensorRole::kPostAttentionNorm, true, "post_attention_layernorm.weight", "ffn_norm.weight"},
    {TensorRole::kPreFeedforwardNorm, true, "pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {TensorRole::kPostFeedforwardNorm, true, "post_feedforward_layernorm.weight",
     "post_ffw_norm.weight"},
    {TensorRole::kQ, true, "self_attn.q_proj.weight", "attn_q.weight"},
    {TensorRole::kK, true, "self_attn.k_proj.weight", "attn_k.weight"},
    {TensorRole::kV, true, "self_attn.v_proj.weight", "attn_v.weight"},
    {TensorRole::kO, true, "self_attn.o_proj.weight", "attn_output.weight"},
    {TensorRole::kQBias, true, "self_attn.q_proj.bias", "attn_q.bias"},
    {TensorRole::kKBias, true, "self_attn.k_proj.bias", "attn_k.bias"},
    {TensorRole::kVBias, true, "self_attn.v_proj.bias", "attn_v.bias"},
    {TensorRole::kOBias, true, "self_attn.o_proj.bias", "attn_output.bias"},
    {TensorRole::kQNorm, true, "self_attn.q_norm.weight", "attn_q_norm.weight"},
    {TensorRole::kKNorm, true, "self_attn.k_norm.weight", "attn_k_norm.weight"},
    {TensorRole::kGate, true, "mlp.gate_proj.weight", "ffn_gate.weight"},
    {TensorRole::kUp, true, "mlp.up_proj.weight", "ffn_up.weight"},
    {TensorRole::kDown, true, "mlp.down_proj.weight", "ffn_down.weight"},
    {TensorRole::kGateBias, true, "mlp.gate_proj.bias", "ffn_gate.bias"},
    {TensorRole::kUpBias, true, "mlp.up_proj.bias", "ffn_up.bias"},
    {TensorRole::kDownBias, true, "mlp.down_proj.bias", "ffn_down.bias"},
};

const RoleNames& names_of(TensorRole role) {
  for (const RoleNames& names : kNames)
    if (names.role == role) return names;
  fail(ErrorCode::kInternal, "[load_base] role without a name");
}

/// Shape of a role's tensor; empty when a model of this configuration has none.
std::vector<int64_t> shape_of(const ModelConfig& c, TensorRole role) {
  using Shape = std::vector<int64_t>;
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  const auto when = [](bool present, Shape shape) { return present ? std::move(shape) : Shape{}; };
  switch (role) {
    case TensorRole::kEmbedding:
      return {c.vocab_size, c.hidden_size};
    case TensorRole::kLmHead:
      return when(!c.tie_word_embeddings, {c.vocab_size, c.hidden_size});
    case TensorRole::kFinalNorm:
    case TensorRole::kInputNorm:
    case TensorRole::kPostAttentionNorm:
      return {c.hidden_size};
    case TensorRole::kPreFeedforwardNorm:
    case TensorRole::kPostFeedforwardNorm:
      return when(c.has_post_norms, {c.hidden_size});
    case TensorRole::kQ:
      return {q, c.hidden_size};
    case TensorRole::kK:
    case TensorRole::kV:
      return {kv, c.hidden_size};
    case TensorRole::kO:
      return {c.hidden_size, q};
    case TensorRole::kQBias:
      return when(c.qkv_bias, {q});
    case TensorRole::kKBias:
    case TensorRole::kVBias:
      return when(c.qkv_bias, {kv});
    case TensorRole::kOBias:
      return when(c.o_bias, {c.hidden_size});
    case TensorRole::kQNorm:
    case TensorRole::kKNorm:
      return when(c.has_qk_norm, {c.head_dim});
    case TensorRole::kGate:
    case TensorRole::kUp:
      return {c.intermediate_size, c.hidden_size};
    case TensorRole::kDown:
      return {c.hidden_size, c.intermediate_size};
    case TensorRole::kGateBias:
    case TensorRole::kUpBias:
      return when(c.mlp_bias, {c.intermediate_size});
    case TensorRole::kDownBias:
      return when(c.mlp_bias, {c.hidden_size});
  }
  return {};
}

bool has_role(const ModelConfig& config, TensorRole role, int layer) {
  return names_of(role).in_layer == (layer >= 0) && layer < config.num_hidden_layers &&
         !shape_of(config, role).empty();
}

}  // namespace

std::string huggingface_tensor_name(const ModelConfig& config, TensorRole role, int layer) {
  if (!has_role(config, role, layer)) return "";
  const RoleNames& names = names_of(role);
  return names.in_layer ? concat("model.layers.", layer, ".", names.huggingface)
                        : names.huggingface;
}

std::string gguf_tensor_name(const ModelConfig& config, TensorRole role, int layer) {
  if (!has_role(config, role, layer)) return "";
  const RoleNames& names = names_of(role);
  const bool after_attention = role == TensorRole::kPostAttentionNorm && config.has_post_norms;
  const char* name = after_attention ? "post_attention_norm.weight" : names.gguf;
  return names.in_layer ? concat("blk.", layer, ".", name) : name;
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  std::vector<ExpectedTensor> tensors;
  for (int layer = -1; layer < config.num_hidden_layers; ++layer) {
    for (const RoleNames& names : kNames) {
      if (has_role(config, names.role, layer))
        tensors.push_back({names.role, layer, shape_of(config, names.role)});
    }
  }
  return tensors;
}

bool is_norm(TensorRole role) {
  switch (role) {
    case TensorRole::kFinalNorm:
    case TensorRole::kInputNorm:
    case TensorRole::kPostAttentionNorm:
    case TensorRole::kPreFeedforwardNorm:
    case TensorRole::kPostFeedforwardNorm:
    case TensorRole::kQNorm:
    case TensorRole::kKNorm:
      return true;
    default:
      return false;
  }
}

}  // namespace lmoe::arch
