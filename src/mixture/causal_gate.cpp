// A pre-gating router: one small causal decoder decides for all layers before any of them runs.
#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>

#include "mixture/gate_net.h"
#include "mixture/initial.h"
#include "nn/attention.h"
#include "nn/kv_cache.h"
#include "nn/rope.h"

namespace lmoe::mixture {
namespace {

// Llama's, whose blocks Read-ME's router has.
constexpr double kEpsilon = 1e-5;
constexpr double kRopeBase = 10'000.0;

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * (x.square().mean(/*dim=*/-1, /*keepdim=*/true) + kEpsilon).rsqrt() * weight;
}

at::Tensor ones_parameter(int64_t width, const at::TensorOptions& options) {
  return at::ones({width}, options).requires_grad_(true);
}

/// What travels with one forward of the net.
struct Documents {
  std::vector<nn::Segment> segments;
  nn::RopeTable rope;
  nn::KvCache* kv_cache = nullptr;
};

class Block {
 public:
  Block(const spec::GateSpec& spec, const at::TensorOptions& options, Rng& rng)
      : width_(spec.hidden_size), heads_(spec.heads) {
    const auto matrix = [&](int64_t rows) {
      return gate_parameter(rows, width_, spec, options, rng);
    };
    attention_norm_ = ones_parameter(width_, options);
    qkv_ = matrix(3 * width_);
    attention_output_ = matrix(width_);
    mlp_norm_ = ones_parameter(width_, options);
    gate_up_ = matrix(2 * width_);
    mlp_output_ = matrix(width_);
  }

  /// h [N, M] -> [N, M]
  at::Tensor forward(at::Tensor h, const Documents& documents) const {
    h = h + at::linear(attend(rms_norm(h, attention_norm_), documents), attention_output_);
    const at::Tensor both = at::linear(rms_norm(h, mlp_norm_), gate_up_);
    const at::Tensor gate = both.narrow(/*dim=*/1, 0, width_);
    const at::Tensor up = both.narrow(/*dim=*/1, width_, width_);
    return h + at::linear(at::silu(gate) * up, mlp_output_);
  }

  void add_tensors(const std::string& name, std::vector<StackedTensor>& all) const {
    all.push_back({name + ".attention_norm.weight", attention_norm_});
    all.push_back({name + ".qkv.weight", qkv_});
    all.push_back({name + ".attention_output.weight", attention_output_});
    all.push_back({name + ".mlp_norm.weight", mlp_norm_});
    all.push_back({name + ".gate_up.weight", gate_up_});
    all.push_back({name + ".mlp_output.weight", mlp_output_});
  }

 private:
  at::Tensor attend(const at::Tensor& x, const Documents& documents) const {
    const at::Tensor qkv = at::linear(x, qkv_);
    const auto part = [&](int64_t i) { return qkv.narrow(/*dim=*/1, i * width_, width_); };
    const at::Tensor q = nn::apply_rope(part(0), documents.rope);
    const at::Tensor k = nn::apply_rope(part(1), documents.rope);
    const int64_t head_dim = width_ / heads_;
    const nn::AttentionShape shape = {.num_heads = heads_,
                                      .num_kv_heads = heads_,
                                      .head_dim = head_dim,
                                      .scale = 1 / std::sqrt(static_cast<double>(head_dim))};
    if (documents.kv_cache == nullptr) {
      nn::ForwardContext own;
      own.segments = documents.segments;
      return nn::attention(q, k, part(2), shape, /*layer=*/0, own);
    }
    const auto rows = [&](const void* owner) {
      const at::Tensor& notes = documents.kv_cache->notes(owner, width_, x.scalar_type());
      return notes.view({notes.size(0), notes.size(1), heads_, head_dim});
    };
    return nn::attention_with_past(q, k, part(2), shape, {rows(&width_), rows(&heads_)},
                                   documents.segments);
  }

  int64_t width_, heads_;  ///< whose addresses name the keys and the values in a KV cache
  at::Tensor attention_norm_, mlp_norm_;  ///< [M]
  at::Tensor qkv_, attention_output_;     ///< [3 M, M], [M, M]
  at::Tensor gate_up_, mlp_output_;       ///< [2 M, M], [M, M]
};

class CausalGate : public GateNet {
 public:
  CausalGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        head_dim_(spec.hidden_size / spec.heads),
        down_(gate_parameter(spec.hidden_size, shape.input_width, spec, shape.options, rng)) {
    for (int64_t i = 0; i < spec.depth; ++i)
      blocks_.push_back(std::make_unique<Block>(spec, shape.options, rng));
    norm_ = ones_parameter(spec.hidden_size, shape.options);
    output_ =
        gate_parameter(shape.gates * shape.experts, spec.hidden_size, spec, shape.options, rng);
  }

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext& context) const override {
    const Documents documents = documents_of(input.size(0), context);
    at::Tensor h = at::linear(input, down_);
    for (const auto& block : blocks_) h = block->forward(std::move(h), documents);
    return at::linear(rms_norm(h, norm_), output_)
        .view({input.size(0), shape_.gates, shape_.experts});
  }

  std::vector<StackedTensor> tensors() const override {
    std::vector<StackedTensor> all = {{"down.weight", down_}};
    for (size_t i = 0; i < blocks_.size(); ++i)
      blocks_[i]->add_tensors("blocks." + std::to_string(i), all);
    all.push_back({"norm.weight", norm_});
    all.push_back({"output.weight", output_});
    return all;
  }

 private:
  Documents documents_of(int64_t tokens, const nn::ForwardContext& context) const {
    Documents documents = {.segments = context.segments, .rope = {}, .kv_cache = context.kv_cache};
    if (documents.segments.empty())
      for (int64_t t = 0; t < tokens; ++t) documents.segments.push_back({.start = t, .length = 1});
    const at::Tensor half = at::arange(head_dim_ / 2, at::kDouble);
    const at::Tensor frequencies =
        at::exp(half * (-2 * std::log(kRopeBase) / static_cast<double>(head_dim_)));
    const at::Tensor angles =
        at::outer(nn::make_positions(documents.segments).to(at::kDouble), frequencies);
    documents.rope = {at::cos(angles).to(shape_.options), at::sin(angles).to(shape_.options)};
    return documents;
  }

  GateShape shape_;
  int64_t head_dim_;
  at::Tensor down_;  ///< [M, D]
  std::vector<std::unique_ptr<Block>> blocks_;
  at::Tensor norm_, output_;  ///< [M], [G * E, M]
};

}  // namespace

std::unique_ptr<GateNet> make_causal_gate(const spec::GateSpec& spec,
                                          const GateShape& shape,
                                          Rng& rng) {
  return std::make_unique<CausalGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
