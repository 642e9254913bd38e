// How the frozen matrices of a base are kept in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/options.h"
#include "io/tensor_view.h"

namespace lmoe::arch {

/// kDense: in the type they are multiplied in. All others are expanded where they are used:
/// kFile as the file has them, so that nothing changes; kBf16, kInt8 (io::DType::kQ8_0) and kInt4
/// (kQ4_1) round what the file has.
enum class FrozenWeights { kDense, kFile, kBf16, kInt8, kInt4 };
std::span<const EnumName<FrozenWeights>> enum_names(FrozenWeights);

/// The type that matrices of type `in_file` are kept as; empty: dense, as is everything that would
/// not be smaller than elements of `dtype_bytes`.
std::optional<io::DType> kept_type(FrozenWeights frozen, io::DType in_file, int64_t dtype_bytes);

}  // namespace lmoe::arch
