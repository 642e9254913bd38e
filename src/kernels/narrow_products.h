// Products with factors of a few rows, the low ranks of an adapter, on one thread.
//
//   narrow      u = alpha x fᵀ           [count, width] x [rank, width] -> [count, rank]
//   widen       y += alpha u f           [count, rank] x [rank, width] -> [count, width]
//   add_outer   f += alpha uᵀ x          [count, rank] x [count, width] -> [rank, width]
//
// A BLAS treats ranks of 4 to 16 as leftovers of its tiles; these hold all of a small block in
// registers. One thread of an AVX-512 EPYC, float, 64 rows of width 1536, GFLOP/s, MKL / these; B's
// gradient as [width, rank] by MKL:
//   rank  4   narrow 35 / 96    widen 28 / 68   add_outer   5 / 99
//   rank  8          35 / 101         82 / 80              11 / 112
//   rank 16          81 / 104         94 / 81              40 / 111
//   rank 64          91 / 101         89 / 97              75 / 112
// A is float or double. The order of a sum depends on the instruction set alone.
#pragma once

#include <cstdint>

namespace lmoe::kernels {

/// A matrix whose rows lie `stride` elements apart; or some of its rows, in any order.
template <class A>
struct Rows {
  A* data = nullptr;
  int64_t stride = 0;
  const int32_t* places = nullptr;  ///< row i is that of places[i]; null: all rows, in order

  A* row(int64_t i) const { return data + (places != nullptr ? places[i] : i) * stride; }
  Rows from(int64_t row, int64_t column) const {
    if (places != nullptr) return {data + column, stride, places + row};
    return {data + row * stride + column, stride};
  }
};

struct NarrowSizes {
  int64_t count, rank, width;
};

/// u is written over. Only x may be some rows of a matrix, here and below; in `widen` y.
template <class A>
void narrow(NarrowSizes sizes, A alpha, Rows<const A> x, Rows<const A> f, Rows<A> u);

/// `is_first`: y is written over.
template <class A>
void widen(NarrowSizes sizes, bool is_first, A alpha, Rows<const A> u, Rows<const A> f, Rows<A> y);

template <class A>
void add_outer(NarrowSizes sizes, A alpha, Rows<const A> u, Rows<const A> x, Rows<A> f);

}  // namespace lmoe::kernels
