// Random tensors in every type that files have.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/quantise.h"
#include "io/stored_tensor.h"

namespace lmoe::test {

/// All types that matrices of a file may have and that are smaller than float32.
inline std::vector<io::DType> small_types() {
  using enum io::DType;
  return {kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K};
}

/// Where the blocks of a type have their half floats.
inline std::vector<int64_t> half_offsets(io::DType dtype) {
  switch (dtype) {
    case io::DType::kF16:
    case io::DType::kQ4_0:
    case io::DType::kQ5_0:
    case io::DType::kQ8_0:
      return {0};
    case io::DType::kQ4_1:
    case io::DType::kQ5_1:
    case io::DType::kQ4_K:
    case io::DType::kQ5_K:
      return {0, 2};
    case io::DType::kQ6_K:
      return {208};
    default:
      return {};
  }
}

/// Random bits in every field of a block but the half floats, which are small numbers; random
/// numbers where there are no blocks.
inline io::StoredTensor random_tensor(const std::string& name,
                                      io::DType dtype,
                                      const std::vector<int64_t>& shape,
                                      uint64_t seed) {
  Rng rng(seed);
  io::StoredTensor tensor{name, dtype, shape, {}};
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  const int64_t blocks = elements / io::block_elements(dtype), size = io::block_bytes(dtype);
  tensor.bytes.resize(static_cast<size_t>(blocks * size));
  for (int64_t block = 0; block < blocks; ++block) {
    std::byte* out = tensor.bytes.data() + block * size;
    const auto small = [&] { return static_cast<float>(0.2 * (rng.uniform() - 0.5)); };
    if (dtype == io::DType::kF32 || dtype == io::DType::kBF16) {
      const float value = small();
      std::memcpy(out, reinterpret_cast<const std::byte*>(&value) + (4 - size),
                  static_cast<size_t>(size));
      continue;
    }
    for (int64_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(rng.below(256));
    for (const int64_t offset : half_offsets(dtype)) {
      const uint16_t half = io::float_to_half(io::is_quantised(dtype) ? 0.05F * small() : small());
      std::memcpy(out + offset, &half, sizeof(half));
    }
  }
  return tensor;
}

}  // namespace lmoe::test
