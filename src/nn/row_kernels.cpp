#include "nn/row_kernels.h"

#include "nn/simd_math.h"

namespace lmoe::nn {

template <class T>
LMOE_CLONES void rms_norm_rows(const T* x,
                               const accumulate_t<T>* weight,
                               double eps,
                               int64_t rows,
                               int64_t width,
                               T* y,
                               accumulate_t<T>* rstd) {
  using A = accumulate_t<T>;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    A squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) squares += simd::load(x[i]) * simd::load(x[i]);
    const A scale = A(1) / std::sqrt(squares / static_cast<A>(width) + static_cast<A>(eps));
    rstd[row] = scale;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) simd::store(y[i], simd::load(x[i]) * scale * weight[i]);
  }
}

// With g = dy * weight: dx = rstd * g - x * rstd^3 * mean(g * x).
template <class T>
LMOE_CLONES void rms_norm_backward_rows(const T* x,
                                        const accumulate_t<T>* weight,
                                        const accumulate_t<T>* rstd,
                                        const T* dy,
                                        int64_t rows,
                                        int64_t width,
                                        T* dx) {
  using A = accumulate_t<T>;
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width, dx += width) {
    A dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < width; ++i) dot += simd::load(dy[i]) * weight[i] * simd::load(x[i]);
    const A scale = rstd[row];
    const A along_x = scale * scale * scale * dot / static_cast<A>(width);
#pragma omp simd
    for (int64_t i = 0; i < width; ++i)
      simd::store(dx[i], scale * simd::load(dy[i]) * weight[i] - along_x * simd::load(x[i]));
  }
}

template <class T>
LMOE_CLONES void rotate_rows(const T* x,
                             const accumulate_t<T>* cos,
                             const accumulate_t<T>* sin,
                             int64_t rows,
                             int64_t heads,
                             int64_t half,
                             bool inverse,
                             T* y) {
  using A = accumulate_t<T>;
  const A direction = inverse ? A(-1) : A(1);
  for (int64_t row = 0; row < rows; ++row, cos += half, sin += half) {
    for (int64_t head = 0; head < heads; ++head, x += 2 * half, y += 2 * half) {
#pragma omp simd
      for (int64_t i = 0; i < half; ++i) {
        const A first = simd::load(x[i]), second = simd::load(x[i + half]);
        const A turn = direction * sin[i];
        simd::store(y[i], first * cos[i] - second * turn);
        simd::store(y[i + half], second * cos[i] + first * turn);
      }
    }
  }
}

namespace {

/// Value and slope of an activation at x.
template <class A>
struct Curve {
  A value, slope;
};

struct Silu {
  template <class A>
  LMOE_INLINE Curve<A> operator()(A x) const {
    const A s = simd::sigmoid(x);
    return {x * s, s * (A(1) + x * (A(1) - s))};
  }
};

struct GeluTanh {
  template <class A>
  LMOE_INLINE Curve<A> operator()(A x) const {
    constexpr A kBeta = A(0.7978845608028654), kKappa = A(0.044715);  // sqrt(2 / pi)
    const A t = simd::tanh(kBeta * (x + kKappa * x * x * x));
    const A inner_slope = kBeta * (A(1) + A(3) * kKappa * x * x);
    return {A(0.5) * x * (A(1) + t),
            A(0.5) * (A(1) + t) + A(0.5) * x * (A(1) - t * t) * inner_slope};
  }
};

struct Gelu {
  template <class A>
  LMOE_INLINE Curve<A> operator()(A x) const {
    const A cdf = A(0.5) * (A(1) + std::erf(x * A(0.7071067811865476)));
    const A density = A(0.3989422804014327) * std::exp(A(-0.5) * x * x);
    return {x * cdf, cdf + x * density};
  }
};

template <class Activation, class T>
LMOE_INLINE void gated(const T* gate, const T* up, int64_t count, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    simd::store(y[i], Activation()(simd::load(gate[i])).value * simd::load(up[i]));
}

template <class Activation, class T>
LMOE_INLINE void gated_backward(
    const T* gate, const T* up, const T* dy, int64_t count, T* dgate, T* dup) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const auto curve = Activation()(simd::load(gate[i]));
    const auto grad = simd::load(dy[i]);
    simd::store(dgate[i], grad * simd::load(up[i]) * curve.slope);
    simd::store(dup[i], grad * curve.value);
  }
}

}  // namespace

template <class T>
LMOE_CLONES void gated_values(
    GatedActivation kind, const T* gate, const T* up, int64_t count, T* y) {
  switch (kind) {
    case GatedActivation::kSilu:
      return gated<Silu>(gate, up, count, y);
    case GatedActivation::kGeluTanh:
      return gated<GeluTanh>(gate, up, count, y);
    case GatedActivation::kGelu:
      return gated<Gelu>(gate, up, count, y);
  }
}

template <class T>
LMOE_CLONES void gated_values_backward(GatedActivation kind,
                                       const T* gate,
                                       const T* up,
                                       const T* dy,
                                       int64_t count,
                                       T* dgate,
                                       T* dup) {
  switch (kind) {
    case GatedActivation::kSilu:
      return gated_backward<Silu>(gate, up, dy, count, dgate, dup);
    case GatedActivation::kGeluTanh:
      return gated_backward<GeluTanh>(gate, up, dy, count, dgate, dup);
    case GatedActivation::kGelu:
      return gated_backward<Gelu>(gate, up, dy, count, dgate, dup);
  }
}

#define LMOE_INSTANTIATE(T, A)                                                                     \
  template void rms_norm_rows<T>(const T*, const A*, double, int64_t, int64_t, T*, A*);            \
  template void rms_norm_backward_rows<T>(const T*, const A*, const A*, const T*, int64_t,         \
                                          int64_t, T*);                                            \
  template void rotate_rows<T>(const T*, const A*, const A*, int64_t, int64_t, int64_t, bool, T*); \
  template void gated_values<T>(GatedActivation, const T*, const T*, int64_t, T*);                 \
  template void gated_values_backward<T>(GatedActivation, const T*, const T*, const T*, int64_t,   \
                                         T*, T*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(c10::BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::nn
