#include "kernels/cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

/// Capped logits become probabilities times the slope of soft-capping.
template <class T>
void sloped_probabilities(T* capped, int64_t count, accumulate_t<T> log_sum, accumulate_t<T> cap) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  const auto shift = hn::Set(d, log_sum), inverse = hn::Set(d, 1 / cap), one = hn::Set(d, A(1));
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    const auto value = lanes.load(capped + i), t = hn::Mul(value, inverse);
    lanes.store(hn::Mul(exp(d, hn::Sub(value, shift)), hn::NegMulAdd(t, t, one)), capped + i);
  });
}

template <class T>
double cross_entropy_row(T* logits, int64_t count, int64_t label, double cap, bool want_gradient) {
  using A = accumulate_t<T>;
  const A limit = static_cast<A>(cap);
  if (cap > 0) softcap(logits, count, limit);
  const A log_sum = log_sum_exp(logits, count);
  const hn::ScalableTag<A> d;
  const FirstLanes<decltype(d)> only{1};
  const A at_label = hn::GetLane(only.load(logits + label));
  if (!want_gradient) return static_cast<double>(log_sum - at_label);
  A slope = 1;
  if (cap > 0) {
    sloped_probabilities(logits, count, log_sum, limit);
    slope -= at_label / limit * (at_label / limit);
  } else {
    probabilities(logits, count, log_sum);
  }
  const A p = hn::GetLane(exp(d, hn::Set(d, at_label - log_sum)));
  only.store(hn::Set(d, (p - 1) * slope), logits + label);
  return static_cast<double>(log_sum - at_label);
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
double cross_entropy_row(T* logits, int64_t count, int64_t label, double cap, bool want_gradient) {
  return LMOE_DISPATCH(cross_entropy_row<T>)(logits, count, label, cap, want_gradient);
}

template double cross_entropy_row<float>(float*, int64_t, int64_t, double, bool);
template double cross_entropy_row<BFloat16>(BFloat16*, int64_t, int64_t, double, bool);
template double cross_entropy_row<double>(double*, int64_t, int64_t, double, bool);

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
