// Which elements dropout keeps, as a function of a seed and a place, so that the backward pass asks
// again instead of keeping a mask; and other inner loops of experts that are whole FFNs.
//
// T is float, c10::BFloat16 or double; A is what T is computed in. No threads of their own.
#pragma once

#include <cstdint>

#include "nn/accumulate.h"

namespace lmoe::mixture {

/// Elements are 0 with probability `rate`, else multiplied by 1 / (1 - rate).
struct DropoutMask {
  uint64_t seed = 0;
  double rate = 0.0;
};

/// to[i] = from[i] * mask(row, i); `to` may be `from`.
template <class T>
void drop_row(const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to);

/// to = from
template <class T>
void load_row(const T* from, int64_t count, nn::accumulate_t<T>* to);

/// to = factor * from, or to += factor * from.
template <class T>
void add_row(bool is_first,
             nn::accumulate_t<T> factor,
             const nn::accumulate_t<T>* from,
             int64_t count,
             T* to);

/// gradient = factor * dy + gradient; returns <value, dy>.
template <class T>
nn::accumulate_t<T> weigh_row(nn::accumulate_t<T> factor,
                              const T* dy,
                              const nn::accumulate_t<T>* value,
                              int64_t count,
                              nn::accumulate_t<T>* gradient);

}  // namespace lmoe::mixture
