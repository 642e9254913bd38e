// What the weights of a base take in memory, before any is read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "arch/base_model.h"
#include "arch/frozen_weights.h"

namespace lmoe::arch {

struct WeightInventory {
  std::map<io::DType, int64_t> matrices;  ///< elements, by the type they have in the file
  int64_t biases = 0, norms = 0;          ///< elements
  int64_t largest_projection = 0;         ///< elements of the largest matrix of a layer

  /// Matrices as `frozen` says, biases in the type of computing, norms as float32.
  int64_t bytes(FrozenWeights frozen, int64_t dtype_bytes) const;
  /// `frozen` where it makes another base: some matrices are kept in another type than the file's,
  /// not for computing. Empty: all values are those of the file.
  std::optional<FrozenWeights> rounding(FrozenWeights frozen, int64_t dtype_bytes) const;
};

WeightInventory inventory(const BaseModel& base);
/// Of a base in a file of float32.
WeightInventory inventory(const ModelConfig& config);

}  // namespace lmoe::arch
