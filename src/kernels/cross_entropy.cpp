#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

/// Capped logits become what `cross_entropy_panel` says; returns the sum without slopes.
template <class T>
double exponentials(T* capped, int64_t count, accumulate_t<T> shift, accumulate_t<T> cap) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  if (cap <= 0)
    return sum_of_exponentials(capped, count, shift,
                               [&](auto lanes, auto /*value*/, auto term, int64_t i)
                                   LMOE_LANES { lanes.store(term, capped + i); });
  const auto inverse = hn::Set(d, 1 / cap), one = hn::Set(d, A(1));
  return sum_of_exponentials(capped, count, shift,
                             [&](auto lanes, auto value, auto term, int64_t i) LMOE_LANES {
                               const auto t = hn::Mul(value, inverse);
                               lanes.store(hn::Mul(term, hn::NegMulAdd(t, t, one)), capped + i);
                             });
}

template <class T>
double cross_entropy_panel(T* logits,
                           int64_t count,
                           int64_t label,
                           double cap,
                           bool want_gradient,
                           RunningCrossEntropy& row) {
  using A = accumulate_t<T>;
  const A limit = static_cast<A>(cap);
  if (cap > 0) softcap(logits, count, limit);
  const hn::ScalableTag<A> d;
  const FirstLanes<decltype(d)> only{1};
  const bool has_label = label >= 0 && label < count;
  if (has_label) row.at_label = static_cast<double>(hn::GetLane(only.load(logits + label)));

  const double before = row.largest;
  row.largest = std::max(before, static_cast<double>(largest_of(logits, count)));
  const double correction = before == row.largest ? 1.0 : std::exp(before - row.largest);
  // Where all logits so far are -inf, any finite shift gives their exponentials.
  const A shift = row.largest == -std::numeric_limits<double>::infinity() ? 0 : row.largest;
  const double sum = want_gradient ? exponentials(logits, count, shift, limit)
                                   : sum_of_exponentials(logits, count, shift);
  row.sum = row.sum * correction + sum;
  if (want_gradient && has_label) only.store(hn::Zero(d), logits + label);
  return correction;
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

double RunningCrossEntropy::loss() const { return (largest - at_label) + std::log(sum); }

double RunningCrossEntropy::gradient_at_label(double cap) const {
  const double slope = cap > 0 ? 1 - at_label / cap * (at_label / cap) : 1;
  return std::expm1(-loss()) * slope;
}

template <class T>
double cross_entropy_panel(T* logits,
                           int64_t count,
                           int64_t label,
                           double cap,
                           bool want_gradient,
                           RunningCrossEntropy& row) {
  return LMOE_DISPATCH(cross_entropy_panel<T>)(logits, count, label, cap, want_gradient, row);
}

#define LMOE_INSTANTIATE(T) \
  template double cross_entropy_panel<T>(T*, int64_t, int64_t, double, bool, RunningCrossEntropy&);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(BFloat16)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
