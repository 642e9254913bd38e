#include "arch/frozen_weights.h"

namespace lmoe::arch {

std::span<const EnumName<FrozenWeights>> enum_names(FrozenWeights) {
  static constexpr EnumName<FrozenWeights> kNames[] = {{"dense", FrozenWeights::kDense},
                                                       {"file", FrozenWeights::kFile},
                                                       {"bf16", FrozenWeights::kBf16},
                                                       {"int8", FrozenWeights::kInt8},
                                                       {"int4", FrozenWeights::kInt4}};
  return kNames;
}

std::optional<io::DType> kept_type(FrozenWeights frozen, io::DType in_file, int64_t dtype_bytes) {
  const auto wanted = [&]() -> std::optional<io::DType> {
    switch (frozen) {
      case FrozenWeights::kDense:
        return std::nullopt;
      case FrozenWeights::kFile:
        return in_file;
      case FrozenWeights::kBf16:
        return io::DType::kBF16;
      case FrozenWeights::kInt8:
        return io::DType::kQ8_0;
      case FrozenWeights::kInt4:
        return io::DType::kQ4_1;
    }
    return std::nullopt;
  }();
  const bool is_smaller =
      wanted && io::block_bytes(*wanted) < dtype_bytes * io::block_elements(*wanted);
  return is_smaller ? wanted : std::nullopt;
}

}  // namespace lmoe::arch
