#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

template <class From, class To>
void copy_row(const From* from, int64_t count, To* to) {
  const hn::ScalableTag<accumulate_t<From>> d;
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(lanes.load(from + i), to + i);
  });
}

template <class T>
void add_row(
    bool is_first, accumulate_t<T> factor, const accumulate_t<T>* from, int64_t count, T* to) {
  const hn::ScalableTag<accumulate_t<T>> d;
  const auto scale = hn::Set(d, factor);
  if (is_first) {
    for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
      lanes.store(hn::Mul(scale, lanes.load(from + i)), to + i);
    });
  } else {
    for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
      lanes.store(hn::MulAdd(scale, lanes.load(from + i), lanes.load(to + i)), to + i);
    });
  }
}

template <class T>
accumulate_t<T> weigh_row(accumulate_t<T> factor,
                          const T* dy,
                          const accumulate_t<T>* value,
                          int64_t count,
                          accumulate_t<T>* gradient) {
  const hn::ScalableTag<accumulate_t<T>> d;
  const auto scale = hn::Set(d, factor);
  return sum_over(d, count, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
    const auto own = lanes.load(dy + i);
    lanes.store(hn::MulAdd(scale, own, lanes.load(gradient + i)), gradient + i);
    return hn::MulAdd(lanes.load(value + i), own, sum);
  });
}

template <class A>
A dot_row(const A* a, const A* b, int64_t count) {
  return sum_over(hn::ScalableTag<A>(), count, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
    return hn::MulAdd(lanes.load(a + i), lanes.load(b + i), sum);
  });
}

template <class T>
void load_row(const T* from, int64_t count, accumulate_t<T>* to) {
  copy_row(from, count, to);
}

template <class T>
void store_row(const accumulate_t<T>* from, int64_t count, T* to) {
  copy_row(from, count, to);
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void load_row(const T* from, int64_t count, accumulate_t<T>* to) {
  LMOE_DISPATCH(load_row<T>)(from, count, to);
}

template <class T>
void store_row(const accumulate_t<T>* from, int64_t count, T* to) {
  LMOE_DISPATCH(store_row<T>)(from, count, to);
}

template <class T>
void add_row(
    bool is_first, accumulate_t<T> factor, const accumulate_t<T>* from, int64_t count, T* to) {
  LMOE_DISPATCH(add_row<T>)(is_first, factor, from, count, to);
}

template <class T>
accumulate_t<T> weigh_row(accumulate_t<T> factor,
                          const T* dy,
                          const accumulate_t<T>* value,
                          int64_t count,
                          accumulate_t<T>* gradient) {
  return LMOE_DISPATCH(weigh_row<T>)(factor, dy, value, count, gradient);
}

template <class A>
A dot_row(const A* a, const A* b, int64_t count) {
  return LMOE_DISPATCH(dot_row<A>)(a, b, count);
}

#define LMOE_INSTANTIATE(T, A)                              \
  template void load_row<T>(const T*, int64_t, A*);         \
  template void store_row<T>(const A*, int64_t, T*);        \
  template void add_row<T>(bool, A, const A*, int64_t, T*); \
  template A weigh_row<T>(A, const T*, const A*, int64_t, A*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

template float dot_row<float>(const float*, const float*, int64_t);
template double dot_row<double>(const double*, const double*, int64_t);

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
