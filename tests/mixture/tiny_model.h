// A few projection groups wired like a decoder layer without attention: rows stay independent, and
// every group, o_proj with an input of another width among them, gets gradients through the others.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mixture/gate.h"
#include "mixture/mixture.h"
#include "nn/sockets.h"

namespace lmoe::test {

inline constexpr int64_t kHidden = 6, kHeads = 4, kKeys = 3, kInner = 5;

/// Deterministic values in about ±1, never equal to each other.
inline at::Tensor numbers(std::vector<int64_t> shape, uint64_t seed, at::ScalarType dtype) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  Rng rng(seed);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data_ptr<double>()[i] = rng.uniform(-1, 1);
  return tensor.to(dtype);
}

/// `rounded_to`: a type that its weights are rounded to before they become `dtype`.
class TinyModel {
 public:
  explicit TinyModel(int layers,
                     at::ScalarType dtype = at::kDouble,
                     int64_t hidden = kHidden,
                     at::Device device = at::kCPU,
                     std::optional<at::ScalarType> rounded_to = {})
      : device_(device), rounded_to_(rounded_to.value_or(dtype)) {
    for (int layer = 0; layer < layers; ++layer) {
      add_attention(layer, {"q_proj", "k_proj", "v_proj"}, {kHeads, kKeys, kHeads}, hidden, dtype);
      add_attention(layer, {"o_proj"}, {hidden}, kHeads, dtype);
      add_mlp(layer, hidden, dtype);
    }
  }

  const nn::Sockets& sockets() const { return sockets_; }
  const std::vector<nn::ProjectionGroup*>& groups() const { return sockets_.groups; }

  /// h [N, hidden] -> [N, hidden]
  at::Tensor forward(at::Tensor h, nn::ForwardContext& context) const {
    context.embedded = h;
    if (!context.last_hidden.defined()) context.last_hidden = at::tanh(h);  // for a first pass's
    for (size_t layer = 0; layer < mlps_.size(); ++layer) {
      const at::Tensor block = at::tanh(h);  // stands for the norm: keeps values near 1
      const auto qkv = attention_[2 * layer]->forward({block, block}, context);
      const at::Tensor mixed = at::tanh(qkv[0]) * qkv[2] + qkv[1].sum(/*dim=*/1, /*keepdim=*/true);
      h = h + attention_[2 * layer + 1]->forward({mixed, block}, context)[0];
      h = h + mlps_[layer]->forward(at::tanh(h), context);
    }
    return h;
  }

  at::Tensor forward(const at::Tensor& h) const {
    nn::ForwardContext context;
    return forward(h, context);
  }

 private:
  at::Tensor weights(std::vector<int64_t> shape, uint64_t seed, at::ScalarType dtype) const {
    return numbers(std::move(shape), seed, rounded_to_).to(dtype).to(device_);
  }

  std::vector<nn::FrozenLinear> linears(int layer,
                                        const std::string& block,
                                        const std::vector<std::string>& names,
                                        const std::vector<int64_t>& outs,
                                        int64_t in,
                                        at::ScalarType dtype) {
    std::vector<nn::FrozenLinear> all;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string path =
          "model.layers." + std::to_string(layer) + "." + block + "." + names[i];
      const uint64_t seed = 100 * seed_ + i;
      const at::Tensor bias = i == 0 ? weights({outs[i]}, seed + 50, dtype) : at::Tensor();
      all.push_back({names[i], path, weights({outs[i], in}, seed, dtype), bias});
    }
    ++seed_;
    return all;
  }

  void add_attention(int layer,
                     const std::vector<std::string>& names,
                     const std::vector<int64_t>& outs,
                     int64_t in,
                     at::ScalarType dtype) {
    attention_.push_back(std::make_unique<nn::ProjectionGroup>(
        layer, "self_attn", linears(layer, "self_attn", names, outs, in, dtype)));
    sockets_.groups.push_back(attention_.back().get());
  }

  void add_mlp(int layer, int64_t hidden, at::ScalarType dtype) {
    auto gate_up = linears(layer, "mlp", {"gate_proj", "up_proj"}, {kInner, kInner}, hidden, dtype);
    auto down = linears(layer, "mlp", {"down_proj"}, {hidden}, kInner, dtype);
    mlps_.push_back(std::make_unique<nn::GatedMlp>(layer, nn::GatedActivation::kSilu,
                                                   std::move(gate_up), std::move(down)));
    sockets_.mlps.push_back(mlps_.back().get());
    for (nn::ProjectionGroup* group : mlps_.back()->projection_groups())
      sockets_.groups.push_back(group);
  }

  at::Device device_;
  at::ScalarType rounded_to_;
  uint64_t seed_ = 0;
  std::vector<std::unique_ptr<nn::ProjectionGroup>> attention_;
  std::vector<std::unique_ptr<nn::GatedMlp>> mlps_;
  nn::Sockets sockets_{{}, {}};
};

/// Where gates ask references: numbers as well, for each expert in turn.
inline void fill_references(const mixture::Mixture& mixture, uint64_t seed) {
  for (const auto& gate : mixture.gates()) {
    if (gate->references() == nullptr) continue;
    const auto& [keys, values] = *gate->references();
    keys.copy_(numbers(keys.sizes().vec(), ++seed, keys.scalar_type()));
    values.copy_(at::arange(values.size(0)).remainder(gate->experts()));
  }
}

/// Overwrites every parameter with numbers, so that B is not zero and gates are not uniform.
inline void randomize(const mixture::Mixture& mixture, uint64_t seed) {
  at::NoGradGuard no_grad;
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.copy_(numbers(tensor.sizes().vec(), ++seed, tensor.scalar_type()));
  }
  fill_references(mixture, seed);
}

inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace lmoe::test
