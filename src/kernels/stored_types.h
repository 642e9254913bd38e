// The types that kernels read and write, and those they compute in.
//
// T is float, BFloat16 or double everywhere in this room.
#pragma once

#include <cstdint>
#include <type_traits>

namespace lmoe::kernels {

/// The upper half of a float.
struct BFloat16 {
  uint16_t bits = 0;
};

/// double for double, float for the rest.
template <class T>
using accumulate_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

}  // namespace lmoe::kernels
