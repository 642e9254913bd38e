// A tensor in memory in the form a file has it: what a TensorView sees, with bytes of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/tensor_view.h"

namespace lmoe::io {

struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  /// Valid as long as the tensor.
  TensorView view() const { return {name, dtype, shape, bytes}; }
};

}  // namespace lmoe::io
