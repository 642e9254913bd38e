// Rows of tensors of any stored type, handed to the kernels.
//
// T is float, c10::BFloat16 or double; A is what T is computed in. No threads of their own.
#pragma once

#include <cstdint>

#include "kernels/dropout.h"
#include "kernels/rows.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {

using kernels::DropoutMask;

/// to[i] = from[i] * mask(row, i); `to` may be `from`.
template <class T>
void drop_row(const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to) {
  kernels::dropout_row(mask, row, nn::stored(from), count, nn::stored(to));
}

/// to = from
template <class T>
void load_row(const T* from, int64_t count, nn::accumulate_t<T>* to) {
  kernels::load_row(nn::stored(from), count, to);
}

/// to = factor * from, or to += factor * from.
template <class T>
void add_row(bool is_first,
             nn::accumulate_t<T> factor,
             const nn::accumulate_t<T>* from,
             int64_t count,
             T* to) {
  kernels::add_row(is_first, factor, from, count, nn::stored(to));
}

/// gradient = factor * dy + gradient; returns <value, dy>.
template <class T>
nn::accumulate_t<T> weigh_row(nn::accumulate_t<T> factor,
                              const T* dy,
                              const nn::accumulate_t<T>* value,
                              int64_t count,
                              nn::accumulate_t<T>* gradient) {
  return kernels::weigh_row(factor, nn::stored(dy), value, count, gradient);
}

}  // namespace lmoe::mixture
