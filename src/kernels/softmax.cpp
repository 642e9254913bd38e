#include "kernels/softmax.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

template <class T>
void clear_outside(T* values, int64_t begin, int64_t end, int64_t count) {
  std::fill(values, values + begin, T{});
  std::fill(values + end, values + count, T{});
}

template <class A>
A softmax_row(A* scores, int64_t begin, int64_t end, int64_t count) {
  const hn::ScalableTag<A> d;
  A* row = scores + begin;
  const A largest = largest_of(row, end - begin);
  const auto shift = hn::Set(d, largest);
  auto terms = hn::Zero(d);
  for_each_vector(d, end - begin, [&](auto lanes, int64_t i) LMOE_LANES {
    const auto term = exp(d, hn::Sub(lanes.load(row + i), shift));
    lanes.store(term, row + i);
    terms = hn::Add(terms, lanes.or_else(term, hn::Zero(d)));
  });
  const A sum = hn::GetLane(hn::SumOfLanes(d, terms));
  const auto factor = hn::Set(d, A(1) / sum);
  for_each_vector(d, end - begin, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(hn::Mul(lanes.load(row + i), factor), row + i);
  });
  clear_outside(scores, begin, end, count);
  return largest + std::log(sum);
}

template <class T>
void softmax_row_again(
    T* scores, int64_t begin, int64_t end, int64_t count, accumulate_t<T> log_sum_exp) {
  probabilities(scores + begin, end - begin, log_sum_exp);
  clear_outside(scores, begin, end, count);
}

template <class A>
void softmax_backward_row(const A* p, A* dp, int64_t count, A dot) {
  const hn::ScalableTag<A> d;
  const auto mean = hn::Set(d, dot);
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(hn::Mul(lanes.load(p + i), hn::Sub(lanes.load(dp + i), mean)), dp + i);
  });
}

template <class T>
void softcap_row(T* values, int64_t count, accumulate_t<T> cap) {
  softcap(values, count, cap);
}

template <class A>
void softcap_backward_row(const A* capped, A* dvalues, int64_t count, A cap) {
  const hn::ScalableTag<A> d;
  const auto inverse = hn::Set(d, A(1) / cap), one = hn::Set(d, A(1));
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    const auto t = hn::Mul(lanes.load(capped + i), inverse);
    lanes.store(hn::Mul(lanes.load(dvalues + i), hn::NegMulAdd(t, t, one)), dvalues + i);
  });
}

template <class T>
accumulate_t<T> log_sum_exp_row(const T* values, int64_t count) {
  return log_sum_exp(values, count);
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class A>
A softmax_row(A* scores, int64_t begin, int64_t end, int64_t count) {
  return LMOE_DISPATCH(softmax_row<A>)(scores, begin, end, count);
}

template <class T>
void softmax_row_again(
    T* scores, int64_t begin, int64_t end, int64_t count, accumulate_t<T> log_sum_exp) {
  LMOE_DISPATCH(softmax_row_again<T>)(scores, begin, end, count, log_sum_exp);
}

template <class A>
void softmax_backward_row(const A* p, A* dp, int64_t count, A dot) {
  LMOE_DISPATCH(softmax_backward_row<A>)(p, dp, count, dot);
}

template <class T>
void softcap_row(T* values, int64_t count, accumulate_t<T> cap) {
  LMOE_DISPATCH(softcap_row<T>)(values, count, cap);
}

template <class A>
void softcap_backward_row(const A* capped, A* dvalues, int64_t count, A cap) {
  LMOE_DISPATCH(softcap_backward_row<A>)(capped, dvalues, count, cap);
}

template <class T>
accumulate_t<T> log_sum_exp_row(const T* values, int64_t count) {
  return LMOE_DISPATCH(log_sum_exp_row<T>)(values, count);
}

#define LMOE_INSTANTIATE(A)                                        \
  template A softmax_row<A>(A*, int64_t, int64_t, int64_t);        \
  template void softmax_backward_row<A>(const A*, A*, int64_t, A); \
  template void softcap_backward_row<A>(const A*, A*, int64_t, A);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

#define LMOE_INSTANTIATE(T, A)                                          \
  template void softmax_row_again<T>(T*, int64_t, int64_t, int64_t, A); \
  template void softcap_row<T>(T*, int64_t, A);                         \
  template A log_sum_exp_row<T>(const T*, int64_t);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
