#include "kernels/rms_norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rms_norm.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

template <class T>
void rms_norm_rows(const T* x,
                   const accumulate_t<T>* weight,
                   double eps,
                   int64_t rows,
                   int64_t width,
                   T* y,
                   accumulate_t<T>* rstd) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    const A squares = sum_over(d, width, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
      const auto value = lanes.load(x + i);
      return hn::MulAdd(value, value, sum);
    });
    rstd[row] = A(1) / std::sqrt(squares / static_cast<A>(width) + static_cast<A>(eps));
    const auto scale = hn::Set(d, rstd[row]);
    for_each_vector(d, width, [&](auto lanes, int64_t i) LMOE_LANES {
      lanes.store(hn::Mul(hn::Mul(lanes.load(x + i), scale), lanes.load(weight + i)), y + i);
    });
  }
}

// With g = dy * weight: dx = rstd * g - x * rstd^3 * mean(g * x).
template <class T>
void rms_norm_backward_rows(const T* x,
                            const accumulate_t<T>* weight,
                            const accumulate_t<T>* rstd,
                            const T* dy,
                            int64_t rows,
                            int64_t width,
                            T* dx) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width, dx += width) {
    const A dot = sum_over(d, width, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
      const auto g = hn::Mul(lanes.load(dy + i), lanes.load(weight + i));
      return hn::MulAdd(g, lanes.load(x + i), sum);
    });
    const A along = rstd[row] * rstd[row] * rstd[row] * dot / static_cast<A>(width);
    const auto scale = hn::Set(d, rstd[row]), along_x = hn::Set(d, along);
    for_each_vector(d, width, [&](auto lanes, int64_t i) LMOE_LANES {
      const auto g = hn::Mul(lanes.load(dy + i), lanes.load(weight + i));
      lanes.store(hn::NegMulAdd(along_x, lanes.load(x + i), hn::Mul(scale, g)), dx + i);
    });
  }
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void rms_norm_rows(const T* x,
                   const accumulate_t<T>* weight,
                   double eps,
                   int64_t rows,
                   int64_t width,
                   T* y,
                   accumulate_t<T>* rstd) {
  LMOE_DISPATCH(rms_norm_rows<T>)(x, weight, eps, rows, width, y, rstd);
}

template <class T>
void rms_norm_backward_rows(const T* x,
                            const accumulate_t<T>* weight,
                            const accumulate_t<T>* rstd,
                            const T* dy,
                            int64_t rows,
                            int64_t width,
                            T* dx) {
  LMOE_DISPATCH(rms_norm_backward_rows<T>)(x, weight, rstd, dy, rows, width, dx);
}

#define LMOE_INSTANTIATE(T, A)                                                             \
  template void rms_norm_rows<T>(const T*, const A*, double, int64_t, int64_t, T*, A*);    \
  template void rms_norm_backward_rows<T>(const T*, const A*, const A*, const T*, int64_t, \
                                          int64_t, T*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
