#include "models/decoder_weights.h"

#include <ATen/ATen.h>

#include "nn/dispatch.h"

namespace lmoe::models {

namespace {

using arch::TensorRole;

/// Roles of one projection and its name.
struct ProjectionRoles {
  TensorRole weight, bias;
  const char* name;
  bool has_bias;
  int64_t out, in;
};

class Reader {
 public:
  Reader(arch::BaseModel& base, const DecoderOptions& options)
      : base_(base),
        dtype_(options.dtype),
        device_(options.device),
        frozen_(options.frozen_weights),
        on_read_(options.on_read),
        total_(base.parameter_count() * element_bytes()) {}

  at::Tensor read(TensorRole role, int layer, const std::vector<int64_t>& shape) {
    return read_floats(role, layer, shape).to(device_, dtype_);
  }

  /// Kept as the options say.
  nn::FrozenMatrix read_matrix(TensorRole role, int layer, const std::vector<int64_t>& shape) {
    const io::DType in_file = base_.stored_type(role, layer);
    const std::optional<io::DType> kept = arch::kept_type(frozen_, in_file, element_bytes());
    if (!kept) return read(role, layer, shape);
    io::StoredTensor stored = base_.read_stored(role, layer, shape);
    add_read(shape[0] * shape[1]);
    return {*kept == in_file ? std::move(stored) : nn::rounded_to(*kept, stored), dtype_};
  }

  /// Norms stay in the type they compute in, with the one that Gemma adds already added.
  at::Tensor read_norm(TensorRole role, int layer, int64_t width) {
    at::Tensor values = read_floats(role, layer, {width});
    if (base_.config.norm_plus_one) values += 1;
    return values.to(device_, nn::accumulate_dtype(dtype_));
  }

  nn::FrozenLinear read_linear(const ProjectionRoles& roles, int layer) {
    return {roles.name, arch::BaseModel::module_path(roles.weight, layer),
            read_matrix(roles.weight, layer, {roles.out, roles.in}),
            roles.has_bias ? read(roles.bias, layer, {roles.out}) : at::Tensor()};
  }

  LayerWeights read_layer(int layer);

 private:
  nn::LayerNorms read_norms(int layer);

  int64_t element_bytes() const { return static_cast<int64_t>(at::elementSize(dtype_)); }

  at::Tensor read_floats(TensorRole role, int layer, const std::vector<int64_t>& shape) {
    at::Tensor values = at::empty(shape, at::kFloat);
    base_.read(role, layer, shape, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
    add_read(values.numel());
    return values;
  }

  void add_read(int64_t elements) {
    done_ += elements * element_bytes();
    if (on_read_) on_read_(done_, total_);
  }

  arch::BaseModel& base_;
  at::ScalarType dtype_;
  at::Device device_;
  arch::FrozenWeights frozen_;
  const std::function<void(int64_t, int64_t)>& on_read_;
  int64_t done_ = 0, total_;
};

nn::LayerNorms Reader::read_norms(int layer) {
  const arch::ModelConfig& config = base_.config;
  const int64_t width = config.hidden_size;
  nn::LayerNorms norms;
  norms.eps = config.rms_norm_eps;
  norms.before_attention = read_norm(TensorRole::kInputNorm, layer, width);
  at::Tensor post_attention = read_norm(TensorRole::kPostAttentionNorm, layer, width);
  if (config.has_post_norms) {
    norms.after_attention = post_attention;
    norms.before_mlp = read_norm(TensorRole::kPreFeedforwardNorm, layer, width);
    norms.after_mlp = read_norm(TensorRole::kPostFeedforwardNorm, layer, width);
  } else {
    norms.before_mlp = post_attention;
  }
  if (config.has_qk_norm) {
    norms.q = read_norm(TensorRole::kQNorm, layer, config.head_dim);
    norms.k = read_norm(TensorRole::kKNorm, layer, config.head_dim);
  }
  return norms;
}

LayerWeights Reader::read_layer(int layer) {
  const arch::ModelConfig& c = base_.config;
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  using R = TensorRole;
  LayerWeights weights;
  weights.norms = read_norms(layer);
  weights.qkv = {read_linear({R::kQ, R::kQBias, "q_proj", c.qkv_bias, q, hidden}, layer),
                 read_linear({R::kK, R::kKBias, "k_proj", c.qkv_bias, kv, hidden}, layer),
                 read_linear({R::kV, R::kVBias, "v_proj", c.qkv_bias, kv, hidden}, layer)};
  weights.o = {read_linear({R::kO, R::kOBias, "o_proj", c.o_bias, hidden, q}, layer)};
  weights.gate_up = {
      read_linear({R::kGate, R::kGateBias, "gate_proj", c.mlp_bias, inner, hidden}, layer),
      read_linear({R::kUp, R::kUpBias, "up_proj", c.mlp_bias, inner, hidden}, layer)};
  weights.down = {
      read_linear({R::kDown, R::kDownBias, "down_proj", c.mlp_bias, hidden, inner}, layer)};
  return weights;
}

void add(WeightSize& size, const nn::FrozenMatrix& matrix) {
  size.elements += matrix.numel();
  size.bytes += matrix.bytes();
}

void add(WeightSize& size, const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  size.elements += tensor.numel();
  size.bytes += static_cast<int64_t>(tensor.nbytes());
}

}  // namespace

WeightSize size_of(const DecoderWeights& weights) {
  WeightSize size;
  add(size, weights.embedding);
  add(size, weights.final_norm);
  if (!weights.lm_head.is_same(weights.embedding)) add(size, weights.lm_head);
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* linears : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      for (const nn::FrozenLinear& linear : *linears) {
        add(size, linear.weight);
        add(size, linear.bias);
      }
    }
    const nn::LayerNorms& norms = layer.norms;
    for (const at::Tensor* norm : {&norms.before_attention, &norms.after_attention,
                                   &norms.before_mlp, &norms.after_mlp, &norms.q, &norms.k})
      add(size, *norm);
  }
  return size;
}

DecoderWeights read_decoder_weights(arch::BaseModel& base, const DecoderOptions& options) {
  Reader reader(base, options);
  const arch::ModelConfig& config = base.config;
  const std::vector<int64_t> table = {config.vocab_size, config.hidden_size};
  DecoderWeights weights;
  weights.embedding = reader.read_matrix(TensorRole::kEmbedding, -1, table);
  weights.final_norm = reader.read_norm(TensorRole::kFinalNorm, -1, config.hidden_size);
  weights.lm_head = config.tie_word_embeddings ? weights.embedding
                                               : reader.read_matrix(TensorRole::kLmHead, -1, table);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer)
    weights.layers.push_back(reader.read_layer(layer));
  base.check_all_read();
  return weights;
}

}  // namespace lmoe::models
