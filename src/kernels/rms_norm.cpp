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
HWY_INLINE void norm_row(const T* x,
                         const accumulate_t<T>* weight,
                         accumulate_t<T> squares,
                         double eps,
                         int64_t width,
                         T* y,
                         accumulate_t<T>& rstd) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  rstd = A(1) / std::sqrt(squares / static_cast<A>(width) + static_cast<A>(eps));
  const auto scale = hn::Set(d, rstd);
  for_each_vector(d, width, [&](auto lanes, int64_t i) LMOE_LANES {
    lanes.store(hn::Mul(hn::Mul(lanes.load(x + i), scale), lanes.load(weight + i)), y + i);
  });
}

template <class T>
void rms_norm_rows(const T* x,
                   const accumulate_t<T>* weight,
                   double eps,
                   int64_t rows,
                   int64_t width,
                   T* y,
                   accumulate_t<T>* rstd) {
  const hn::ScalableTag<accumulate_t<T>> d;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    const auto squares = sum_over(d, width, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
      const auto value = lanes.load(x + i);
      return hn::MulAdd(value, value, sum);
    });
    norm_row(x, weight, squares, eps, width, y, rstd[row]);
  }
}

template <class T>
void add_rms_norm_rows(const T* x,
                       const T* addend,
                       const accumulate_t<T>* weight,
                       double eps,
                       int64_t rows,
                       int64_t width,
                       T* sum,
                       T* y,
                       accumulate_t<T>* rstd) {
  const hn::ScalableTag<accumulate_t<T>> d;
  for (int64_t row = 0; row < rows; ++row, x += width, addend += width, sum += width, y += width) {
    const auto squares = sum_over(d, width, [&](auto lanes, int64_t i, auto total) LMOE_LANES {
      lanes.store(hn::Add(lanes.load(x + i), lanes.load(addend + i)), sum + i);
      const auto value = lanes.load(sum + i);
      return hn::MulAdd(value, value, total);
    });
    norm_row(sum, weight, squares, eps, width, y, rstd[row]);
  }
}

/// With g = dy * weight and n = x * rstd: dx = rstd * (g - n * mean(g * n)) + dsum.
template <bool kOutputIsKept, bool kHasSum, class T>
void backward_rows(KeptOfNorm<T> kept,
                   const accumulate_t<T>* weight,
                   const T* dy,
                   const T* dsum,
                   int64_t rows,
                   int64_t width,
                   T* dx) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  for (int64_t row = 0; row < rows; ++row, dy += width, dx += width) {
    const T* own = kept.rows + row * width;
    const auto scale = hn::Set(d, kept.rstd[row]);
    const auto normed = [&](auto lanes, int64_t i) LMOE_LANES {
      if constexpr (kOutputIsKept)
        return hn::Mul(lanes.load(own + i), lanes.load(kept.inverse_weight + i));
      else
        return hn::Mul(lanes.load(own + i), scale);
    };
    const A dot = sum_over(d, width, [&](auto lanes, int64_t i, auto sum) LMOE_LANES {
      const auto g = hn::Mul(lanes.load(dy + i), lanes.load(weight + i));
      return hn::MulAdd(g, normed(lanes, i), sum);
    });
    const auto along = hn::Set(d, dot / static_cast<A>(width));
    for_each_vector(d, width, [&](auto lanes, int64_t i) LMOE_LANES {
      const auto g = hn::Mul(lanes.load(dy + i), lanes.load(weight + i));
      const auto across = hn::NegMulAdd(along, normed(lanes, i), g);
      if constexpr (kHasSum)
        lanes.store(hn::MulAdd(scale, across, lanes.load(dsum + row * width + i)), dx + i);
      else
        lanes.store(hn::Mul(scale, across), dx + i);
    });
  }
}

template <class T>
void rms_norm_backward_rows(KeptOfNorm<T> kept,
                            const accumulate_t<T>* weight,
                            const T* dy,
                            const T* dsum,
                            int64_t rows,
                            int64_t width,
                            T* dx) {
  const bool output_is_kept = kept.inverse_weight != nullptr, has_sum = dsum != nullptr;
  const auto body =
      output_is_kept ? (has_sum ? backward_rows<true, true, T> : backward_rows<true, false, T>)
                     : (has_sum ? backward_rows<false, true, T> : backward_rows<false, false, T>);
  body(kept, weight, dy, dsum, rows, width, dx);
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
void add_rms_norm_rows(const T* x,
                       const T* addend,
                       const accumulate_t<T>* weight,
                       double eps,
                       int64_t rows,
                       int64_t width,
                       T* sum,
                       T* y,
                       accumulate_t<T>* rstd) {
  LMOE_DISPATCH(add_rms_norm_rows<T>)(x, addend, weight, eps, rows, width, sum, y, rstd);
}

template <class T>
void rms_norm_backward_rows(KeptOfNorm<T> kept,
                            const accumulate_t<T>* weight,
                            const T* dy,
                            const T* dsum,
                            int64_t rows,
                            int64_t width,
                            T* dx) {
  LMOE_DISPATCH(rms_norm_backward_rows<T>)(kept, weight, dy, dsum, rows, width, dx);
}

#define LMOE_INSTANTIATE(T, A)                                                                   \
  template void rms_norm_rows<T>(const T*, const A*, double, int64_t, int64_t, T*, A*);          \
  template void add_rms_norm_rows<T>(const T*, const T*, const A*, double, int64_t, int64_t, T*, \
                                     T*, A*);                                                    \
  template void rms_norm_backward_rows<T>(KeptOfNorm<T>, const A*, const T*, const T*, int64_t,  \
                                          int64_t, T*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
