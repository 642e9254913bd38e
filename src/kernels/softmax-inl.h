// The steps that softmax and cross-entropy share. Compiled once per instruction set.
#if defined(LMOE_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LMOE_KERNELS_SOFTMAX_INL_H_
#undef LMOE_KERNELS_SOFTMAX_INL_H_
#else
#define LMOE_KERNELS_SOFTMAX_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/lanes-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

/// -inf for an empty row; NaN counts for nothing.
template <class T>
HWY_INLINE accumulate_t<T> largest_of(const T* values, int64_t count) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  const auto lowest = hn::Set(d, -std::numeric_limits<A>::infinity());
  const auto larger = [](auto a, auto b) LMOE_LANES { return hn::IfThenElse(hn::Gt(a, b), a, b); };
  const auto largest = fold(
      d, count, lowest,
      [&](auto lanes, int64_t i, auto so_far)
          LMOE_LANES { return larger(lanes.or_else(lanes.load(values + i), lowest), so_far); },
      larger);
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

/// The sum of exp(values - shift); `keep(lanes, value, term, i)` may keep something of each vector.
template <class T, class Keep>
HWY_INLINE double sum_of_exponentials(const T* values,
                                      int64_t count,
                                      accumulate_t<T> shift,
                                      const Keep& keep) {
  constexpr int64_t kBlock =
      2048;  // sums of sums lose little of small terms, with one lane as well
  const hn::ScalableTag<accumulate_t<T>> d;
  const auto shifts = hn::Set(d, shift);
  double total = 0;
  for (int64_t first = 0; first < count; first += kBlock) {
    auto sum = hn::Zero(d);
    for_each_vector(d, std::min(kBlock, count - first), [&](auto lanes, int64_t i) LMOE_LANES {
      const auto value = lanes.load(values + first + i);
      const auto term = exp(d, hn::Sub(value, shifts));
      sum = hn::Add(sum, lanes.or_else(term, hn::Zero(d)));
      keep(lanes, value, term, first + i);
    });
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  return total;
}

template <class T>
HWY_INLINE double sum_of_exponentials(const T* values, int64_t count, accumulate_t<T> shift) {
  return sum_of_exponentials(values, count, shift,
                             [](auto /*lanes*/, auto /*value*/, auto /*term*/, int64_t /*i*/)
                                 LMOE_LANES {});
}

template <class T>
HWY_INLINE accumulate_t<T> log_sum_exp(const T* values, int64_t count) {
  const accumulate_t<T> largest = largest_of(values, count);
  return static_cast<accumulate_t<T>>(largest +
                                      std::log(sum_of_exponentials(values, count, largest)));
}

/// values become exp(values - log_sum_exp).
template <class T>
HWY_INLINE void probabilities(T* values, int64_t count, accumulate_t<T> log_sum_exp) {
  const hn::ScalableTag<accumulate_t<T>> d;
  const auto shift = hn::Set(d, log_sum_exp);
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(exp(d, hn::Sub(lanes.load(values + i), shift)), values + i);
  });
}

/// values become cap * tanh(values / cap).
template <class T>
HWY_INLINE void softcap(T* values, int64_t count, accumulate_t<T> cap) {
  const hn::ScalableTag<accumulate_t<T>> d;
  const auto limit = hn::Set(d, cap), inverse = hn::Set(d, 1 / cap);
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(hn::Mul(limit, tanh(d, hn::Mul(lanes.load(values + i), inverse))), values + i);
  });
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
