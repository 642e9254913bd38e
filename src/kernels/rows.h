// Rows copied between types, scaled, added and multiplied.
//
// A is float or double; T is float, BFloat16 or double.
#pragma once

#include <cstdint>

#include "kernels/stored_types.h"

namespace lmoe::kernels {

/// to = from, as the type it is computed in.
template <class T>
void load_row(const T* from, int64_t count, accumulate_t<T>* to);

/// to = from, rounded.
template <class T>
void store_row(const accumulate_t<T>* from, int64_t count, T* to);

/// to = factor * from, or to += factor * from. `to` may be `from`.
template <class T>
void add_row(
    bool is_first, accumulate_t<T> factor, const accumulate_t<T>* from, int64_t count, T* to);

/// gradient = factor * dy + gradient; returns <value, dy>.
template <class T>
accumulate_t<T> weigh_row(accumulate_t<T> factor,
                          const T* dy,
                          const accumulate_t<T>* value,
                          int64_t count,
                          accumulate_t<T>* gradient);

template <class A>
A dot_row(const A* a, const A* b, int64_t count);

}  // namespace lmoe::kernels
