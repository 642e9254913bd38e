// Which elements dropout keeps, as a function of a seed and a place, so that the backward pass asks
// again instead of keeping a mask.
#pragma once

#include <cstdint>

namespace lmoe::kernels {

/// Elements are 0 with probability `rate`, else multiplied by 1 / (1 - rate).
struct DropoutMask {
  uint64_t seed = 0;
  double rate = 0.0;
};

/// to[i] = from[i] * mask(row, i); `to` may be `from`. T is float, BFloat16 or double.
template <class T>
void dropout_row(const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to);

}  // namespace lmoe::kernels
