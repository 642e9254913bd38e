#include "arch/weight_inventory.h"

#include <algorithm>
#include <functional>

#include "arch/tensor_names.h"

namespace lmoe::arch {
namespace {

WeightInventory take_inventory(const ModelConfig& config,
                               const std::function<io::DType(const ExpectedTensor&)>& type_of) {
  WeightInventory all;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= size;
    if (is_norm(tensor.role)) {
      all.norms += elements;
    } else if (tensor.shape.size() == 1) {
      all.biases += elements;
    } else {
      all.matrices[type_of(tensor)] += elements;
      if (tensor.layer >= 0) all.largest_projection = std::max(all.largest_projection, elements);
    }
  }
  return all;
}

}  // namespace

int64_t WeightInventory::bytes(FrozenWeights frozen, int64_t dtype_bytes) const {
  constexpr int64_t kFloat = 4;
  int64_t all = biases * dtype_bytes + norms * kFloat;
  for (const auto& [in_file, elements] : matrices) {
    const std::optional<io::DType> kept = kept_type(frozen, in_file, dtype_bytes);
    all += kept ? elements / io::block_elements(*kept) * io::block_bytes(*kept)
                : elements * dtype_bytes;
  }
  return all;
}

std::optional<FrozenWeights> WeightInventory::rounding(FrozenWeights frozen,
                                                       int64_t dtype_bytes) const {
  for (const auto& [in_file, elements] : matrices)
    if (kept_type(frozen, in_file, dtype_bytes).value_or(in_file) != in_file) return frozen;
  return std::nullopt;
}

WeightInventory inventory(const BaseModel& base) {
  return take_inventory(base.config, [&](const ExpectedTensor& tensor) {
    return base.stored_type(tensor.role, tensor.layer);
  });
}

WeightInventory inventory(const ModelConfig& config) {
  return take_inventory(config, [](const ExpectedTensor&) { return io::DType::kF32; });
}

}  // namespace lmoe::arch
