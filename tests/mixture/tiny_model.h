// A few projection groups wired like a decoder layer without attention: rows stay independent, and
// every group, o_proj with an input of another width among them, gets gradients through the others.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <string>
#include <vector>

#include "mixture/mixture.h"
#include "nn/projection.h"

namespace lmoe::test {

inline constexpr int64_t kHidden = 6, kHeads = 4, kKeys = 3, kInner = 5;

/// Deterministic values in about ±1, never equal to each other.
inline at::Tensor numbers(std::vector<int64_t> shape, uint64_t seed, at::ScalarType dtype) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  Rng rng(seed);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data_ptr<double>()[i] = rng.uniform(-1, 1);
  return tensor.to(dtype);
}

class TinyModel {
 public:
  explicit TinyModel(int layers, at::ScalarType dtype = at::kDouble, int64_t hidden = kHidden) {
    for (int layer = 0; layer < layers; ++layer) {
      add(layer, "self_attn", {"q_proj", "k_proj", "v_proj"}, {kHeads, kKeys, kHeads}, hidden,
          dtype);
      add(layer, "self_attn", {"o_proj"}, {hidden}, kHeads, dtype);
      add(layer, "mlp", {"gate_proj", "up_proj"}, {kInner, kInner}, hidden, dtype);
      add(layer, "mlp", {"down_proj"}, {hidden}, kInner, dtype);
    }
  }

  const std::vector<nn::ProjectionGroup*>& groups() const { return pointers_; }

  /// h [N, hidden] -> [N, hidden]
  at::Tensor forward(at::Tensor h, nn::ForwardContext& context) const {
    for (size_t g = 0; g < groups_.size(); g += 4) {
      const at::Tensor block = at::tanh(h);  // stands for the norm: keeps values near 1
      const auto qkv = groups_[g]->forward({block, block}, context);
      const at::Tensor mixed = at::tanh(qkv[0]) * qkv[2] + qkv[1].sum(/*dim=*/1, /*keepdim=*/true);
      h = h + groups_[g + 1]->forward({mixed, block}, context)[0];
      const at::Tensor mlp = at::tanh(h);
      const auto gate_up = groups_[g + 2]->forward({mlp, mlp}, context);
      const at::Tensor inner = at::silu(gate_up[0]) * at::tanh(gate_up[1]);
      h = h + groups_[g + 3]->forward({inner, mlp}, context)[0];
    }
    return h;
  }

  at::Tensor forward(const at::Tensor& h) const {
    nn::ForwardContext context;
    return forward(h, context);
  }

 private:
  void add(int layer,
           const std::string& block,
           const std::vector<std::string>& names,
           const std::vector<int64_t>& outs,
           int64_t in,
           at::ScalarType dtype) {
    std::vector<nn::FrozenLinear> linears;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string path =
          "model.layers." + std::to_string(layer) + "." + block + "." + names[i];
      const uint64_t seed = 100 * groups_.size() + i;
      const at::Tensor bias = i == 0 ? numbers({outs[i]}, seed + 50, dtype) : at::Tensor();
      linears.push_back({names[i], path, numbers({outs[i], in}, seed, dtype), bias});
    }
    groups_.push_back(std::make_unique<nn::ProjectionGroup>(layer, block, std::move(linears)));
    pointers_.push_back(groups_.back().get());
  }

  std::vector<std::unique_ptr<nn::ProjectionGroup>> groups_;
  std::vector<nn::ProjectionGroup*> pointers_;
};

/// Overwrites every parameter with numbers, so that B is not zero and gates are not uniform.
inline void randomize(const mixture::Mixture& mixture, uint64_t seed) {
  at::NoGradGuard no_grad;
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.copy_(numbers(tensor.sizes().vec(), ++seed, tensor.scalar_type()));
  }
}

inline double max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace lmoe::test
