#include "kernels/narrow_products.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/narrow_products.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

/// One block of u: kRows rows by kRanks sums in registers.
template <int kRows, int kRanks, class A>
HWY_INLINE void narrow_block(int64_t width, A alpha, Rows<const A> x, Rows<const A> f, Rows<A> u) {
  const hn::ScalableTag<A> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[kRows][kRanks];
  for (auto& row : sum)
    for (auto& value : row) value = hn::Zero(d);
  const A* rows[kRows];
  for (int i = 0; i < kRows; ++i) rows[i] = x.row(i);
  int64_t k = 0;
  for (; k + lanes <= width; k += lanes) {
    hn::Vec<decltype(d)> own[kRows];
    for (int i = 0; i < kRows; ++i) own[i] = hn::LoadU(d, rows[i] + k);
    for (int r = 0; r < kRanks; ++r) {
      const auto factor = hn::LoadU(d, f.data + r * f.stride + k);
      for (int i = 0; i < kRows; ++i) sum[i][r] = hn::MulAdd(own[i], factor, sum[i][r]);
    }
  }
  for (int i = 0; i < kRows; ++i) {
    for (int r = 0; r < kRanks; ++r) {
      A total = hn::GetLane(hn::SumOfLanes(d, sum[i][r]));
      for (int64_t j = k; j < width; ++j) total += rows[i][j] * f.data[r * f.stride + j];
      u.data[i * u.stride + r] = alpha * total;
    }
  }
}

template <int kRanks, class A>
void narrow_ranks(NarrowSizes s, A alpha, Rows<const A> x, Rows<const A> f, Rows<A> u) {
  int64_t i = 0;
  for (; i + 4 <= s.count; i += 4)
    narrow_block<4, kRanks, A>(s.width, alpha, x.from(i, 0), f, u.from(i, 0));
  for (; i < s.count; ++i)
    narrow_block<1, kRanks, A>(s.width, alpha, x.from(i, 0), f, u.from(i, 0));
}

template <class A>
void narrow_all(NarrowSizes s, A alpha, Rows<const A> x, Rows<const A> f, Rows<A> u) {
  int64_t r = 0;
  for (; r + 4 <= s.rank; r += 4) narrow_ranks<4, A>(s, alpha, x, f.from(r, 0), u.from(0, r));
  for (; r < s.rank; ++r) narrow_ranks<1, A>(s, alpha, x, f.from(r, 0), u.from(0, r));
}

/// kRows rows and kVectors vectors of columns of y, over all ranks.
template <int kRows, int kVectors, class A>
HWY_INLINE void widen_block(
    int64_t rank, bool is_first, A alpha, Rows<const A> u, Rows<const A> f, Rows<A> y) {
  const hn::ScalableTag<A> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[kRows][kVectors];
  for (auto& row : sum)
    for (auto& value : row) value = hn::Zero(d);
  for (int64_t r = 0; r < rank; ++r) {
    hn::Vec<decltype(d)> factor[kVectors];
    for (int v = 0; v < kVectors; ++v) factor[v] = hn::LoadU(d, f.data + r * f.stride + v * lanes);
    for (int i = 0; i < kRows; ++i) {
      const auto own = hn::Set(d, u.data[i * u.stride + r]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = hn::MulAdd(own, factor[v], sum[i][v]);
    }
  }
  const auto scale = hn::Set(d, alpha);
  for (int i = 0; i < kRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      A* to = y.row(i) + v * lanes;
      const auto before = is_first ? hn::Zero(d) : hn::LoadU(d, to);
      hn::StoreU(hn::MulAdd(scale, sum[i][v], before), d, to);
    }
  }
}

template <int kRows, class A>
void widen_rows(
    NarrowSizes s, bool is_first, A alpha, Rows<const A> u, Rows<const A> f, Rows<A> y) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<A>()));
  int64_t k = 0;
  for (; k + 2 * lanes <= s.width; k += 2 * lanes)
    widen_block<kRows, 2, A>(s.rank, is_first, alpha, u, f.from(0, k), y.from(0, k));
  for (; k + lanes <= s.width; k += lanes)
    widen_block<kRows, 1, A>(s.rank, is_first, alpha, u, f.from(0, k), y.from(0, k));
  for (int i = 0; i < kRows; ++i) {
    for (int64_t j = k; j < s.width; ++j) {
      A sum = 0;
      for (int64_t r = 0; r < s.rank; ++r)
        sum += u.data[i * u.stride + r] * f.data[r * f.stride + j];
      A& to = y.row(i)[j];
      to = alpha * sum + (is_first ? A(0) : to);
    }
  }
}

template <class A>
void widen_all(NarrowSizes s, bool is_first, A alpha, Rows<const A> u, Rows<const A> f, Rows<A> y) {
  int64_t i = 0;
  for (; i + 4 <= s.count; i += 4)
    widen_rows<4, A>(s, is_first, alpha, u.from(i, 0), f, y.from(i, 0));
  for (; i < s.count; ++i) widen_rows<1, A>(s, is_first, alpha, u.from(i, 0), f, y.from(i, 0));
}

/// kRanks rows and kVectors vectors of columns of f, over all rows of x.
template <int kRanks, int kVectors, class A>
HWY_INLINE void outer_block(int64_t count, A alpha, Rows<const A> u, Rows<const A> x, Rows<A> f) {
  const hn::ScalableTag<A> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[kRanks][kVectors];
  for (auto& row : sum)
    for (auto& value : row) value = hn::Zero(d);
  for (int64_t i = 0; i < count; ++i) {
    const A* from = x.row(i);
    hn::Vec<decltype(d)> own[kVectors];
    for (int v = 0; v < kVectors; ++v) own[v] = hn::LoadU(d, from + v * lanes);
    for (int r = 0; r < kRanks; ++r) {
      const auto factor = hn::Set(d, u.data[i * u.stride + r]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, own[v], sum[r][v]);
    }
  }
  const auto scale = hn::Set(d, alpha);
  for (int r = 0; r < kRanks; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      A* to = f.data + r * f.stride + v * lanes;
      hn::StoreU(hn::MulAdd(scale, sum[r][v], hn::LoadU(d, to)), d, to);
    }
  }
}

template <int kVectors, class A>
void outer_columns(NarrowSizes s, A alpha, Rows<const A> u, Rows<const A> x, Rows<A> f) {
  int64_t r = 0;
  for (; r + 8 <= s.rank; r += 8)
    outer_block<8, kVectors, A>(s.count, alpha, u.from(0, r), x, f.from(r, 0));
  for (; r + 4 <= s.rank; r += 4)
    outer_block<4, kVectors, A>(s.count, alpha, u.from(0, r), x, f.from(r, 0));
  for (; r < s.rank; ++r)
    outer_block<1, kVectors, A>(s.count, alpha, u.from(0, r), x, f.from(r, 0));
}

template <class A>
void outer_all(NarrowSizes s, A alpha, Rows<const A> u, Rows<const A> x, Rows<A> f) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<A>()));
  // Eight ranks of two vectors fill AVX2's registers.
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 2 : 1;
  int64_t k = 0;
  for (; k + kVectors * lanes <= s.width; k += kVectors * lanes)
    outer_columns<kVectors, A>(s, alpha, u, x.from(0, k), f.from(0, k));
  for (; k + lanes <= s.width; k += lanes)
    outer_columns<1, A>(s, alpha, u, x.from(0, k), f.from(0, k));
  for (; k < s.width; ++k) {
    for (int64_t r = 0; r < s.rank; ++r) {
      A sum = 0;
      for (int64_t i = 0; i < s.count; ++i) sum += u.data[i * u.stride + r] * x.row(i)[k];
      f.data[r * f.stride + k] += alpha * sum;
    }
  }
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class A>
void narrow(NarrowSizes sizes, A alpha, Rows<const A> x, Rows<const A> f, Rows<A> u) {
  LMOE_DISPATCH(narrow_all<A>)(sizes, alpha, x, f, u);
}

template <class A>
void widen(NarrowSizes sizes, bool is_first, A alpha, Rows<const A> u, Rows<const A> f, Rows<A> y) {
  LMOE_DISPATCH(widen_all<A>)(sizes, is_first, alpha, u, f, y);
}

template <class A>
void add_outer(NarrowSizes sizes, A alpha, Rows<const A> u, Rows<const A> x, Rows<A> f) {
  LMOE_DISPATCH(outer_all<A>)(sizes, alpha, u, x, f);
}

#define LMOE_INSTANTIATE(A)                                                            \
  template void narrow<A>(NarrowSizes, A, Rows<const A>, Rows<const A>, Rows<A>);      \
  template void widen<A>(NarrowSizes, bool, A, Rows<const A>, Rows<const A>, Rows<A>); \
  template void add_outer<A>(NarrowSizes, A, Rows<const A>, Rows<const A>, Rows<A>);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
