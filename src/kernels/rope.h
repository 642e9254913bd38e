// Rotary positions: pairs of values half a head apart, turned by angles.
#pragma once

#include <cstdint>

#include "kernels/stored_types.h"

namespace lmoe::kernels {

/// Turns the pairs (i, i + half) of every head by the row's angles, or back (`inverse`).
/// x, y [rows, heads, 2 half]; cos, sin [rows, half].
template <class T>
void rotate_rows(const T* x,
                 const accumulate_t<T>* cos,
                 const accumulate_t<T>* sin,
                 int64_t rows,
                 int64_t heads,
                 int64_t half,
                 bool inverse,
                 T* y);

}  // namespace lmoe::kernels
