// A base of random weights in any type that files have, in memory, laid out as GGUF does.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "arch/base_model.h"
#include "arch/frozen_weights.h"
#include "arch/tensor_names.h"
#include "io/stored_tensor.h"
#include "nn/frozen_matrix.h"
#include "support/random_tensor.h"
#include "support/tiny_decoder.h"

namespace lmoe::test {

class MemorySource : public io::WeightSource {
 public:
  void add(io::StoredTensor tensor) {
    const std::string name = tensor.name;
    tensors_[name] = std::move(tensor);
    views_[name] = tensors_[name].view();
  }

  std::string description() const override { return "memory"; }
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : tensors_) all.push_back(name);
    return all;
  }
  const io::TensorView* find(const std::string& name) const override {
    const auto found = views_.find(name);
    return found == views_.end() ? nullptr : &found->second;
  }
  void check_not_truncated() const override {}
  void forget_pages() const override {}

 private:
  std::map<std::string, io::StoredTensor> tensors_;
  std::map<std::string, io::TensorView> views_;
};

/// Matrices of `dtype`, norms and biases of float32; rows of q and k interleaved.
inline arch::BaseModel stored_base(const arch::ModelConfig& config, io::DType dtype) {
  arch::BaseModel base;
  base.name = base.path = "memory";
  base.config = config;
  base.rope_rows_interleaved = true;
  base.tensor_name = [config](arch::TensorRole role, int layer) {
    return arch::gguf_tensor_name(config, role, layer);
  };
  auto source = std::make_unique<MemorySource>();
  uint64_t seed = 1;
  for (const arch::ExpectedTensor& tensor : arch::expected_tensors(config))
    source->add(random_tensor(base.tensor_name(tensor.role, tensor.layer),
                              tensor.shape.size() == 2 ? dtype : io::DType::kF32, tensor.shape,
                              ++seed));
  base.source = std::move(source);
  return base;
}

/// The base with its matrices rounded.
inline arch::BaseModel rounded_base(arch::BaseModel base, io::DType dtype) {
  auto source = std::make_unique<MemorySource>();
  for (const std::string& name : base.source->names()) {
    const io::TensorView& view = *base.source->find(name);
    io::StoredTensor tensor{name, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
    source->add(view.shape.size() == 2 ? nn::rounded_to(dtype, tensor) : std::move(tensor));
  }
  base.source = std::move(source);
  return base;
}

/// One way to keep a base that is stored in a type, for computing in another.
struct KeptWay {
  io::DType stored;
  at::ScalarType computed;
  arch::FrozenWeights frozen;
  int64_t bytes() const { return static_cast<int64_t>(at::elementSize(computed)); }
};

inline std::vector<KeptWay> kept_ways() {
  using enum arch::FrozenWeights;
  std::vector<KeptWay> ways;
  for (const io::DType stored : {io::DType::kF32, io::DType::kBF16, io::DType::kQ4_1})
    for (const at::ScalarType computed : {at::kFloat, at::kBFloat16})
      for (const arch::FrozenWeights frozen : {kDense, kFile, kBf16, kInt8, kInt4})
        ways.push_back({stored, computed, frozen});
  return ways;
}

/// The tiny one, wide enough for blocks of 256.
inline arch::ModelConfig block_config() {
  arch::ModelConfig config = tiny_config();
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.head_dim = 64;
  config.qkv_bias = true;
  return config;
}

}  // namespace lmoe::test
