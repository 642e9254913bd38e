#include "kernels/gated_activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gated_activation.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

// Each gives value and slope of an activation at x; what is not asked for is not computed.

struct Silu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void operator()(D d, V x, V& value, V& slope) const {
    const V one = hn::Set(d, hn::TFromD<D>(1)), s = sigmoid(d, x);
    value = hn::Mul(x, s);
    slope = hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
  }
};

struct GeluTanh {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void operator()(D d, V x, V& value, V& slope) const {
    using A = hn::TFromD<D>;
    constexpr A kBeta = A(0.7978845608028654), kKappa = A(0.044715);  // sqrt(2 / pi)
    const V one = hn::Set(d, A(1)), beta = hn::Set(d, kBeta), x2 = hn::Mul(x, x);
    const V inner = hn::Mul(beta, hn::MulAdd(hn::Mul(hn::Set(d, kKappa), x2), x, x));
    const V inner_slope = hn::Mul(beta, hn::MulAdd(hn::Set(d, 3 * kKappa), x2, one));
    const V t = tanh(d, inner), half_x = hn::Mul(hn::Set(d, A(0.5)), x);
    value = hn::MulAdd(half_x, t, half_x);
    slope = hn::MulAdd(hn::Mul(half_x, hn::NegMulAdd(t, t, one)), inner_slope,
                       hn::Mul(hn::Set(d, A(0.5)), hn::Add(one, t)));
  }
};

struct Gelu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void operator()(D d, V x, V& value, V& slope) const {
    using A = hn::TFromD<D>;
    const V half = hn::Set(d, A(0.5));
    const V cdf = hn::MulAdd(half, erf(d, hn::Mul(x, hn::Set(d, A(0.7071067811865476)))), half);
    const V density = hn::Mul(hn::Set(d, A(0.3989422804014327)),
                              exp(d, hn::Mul(hn::Mul(hn::Set(d, A(-0.5)), x), x)));
    value = hn::Mul(x, cdf);
    slope = hn::MulAdd(x, density, cdf);
  }
};

template <class Activation, class T>
void gated(const T* gate, const T* up, int64_t count, T* y) {
  const hn::ScalableTag<accumulate_t<T>> d;
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    auto value = hn::Zero(d), slope = hn::Zero(d);
    Activation()(d, lanes.load(gate + i), value, slope);
    lanes.store(hn::Mul(value, lanes.load(up + i)), y + i);
  });
}

template <class Activation, class T>
void gated_backward(const T* gate, const T* up, const T* dy, int64_t count, T* dgate, T* dup) {
  const hn::ScalableTag<accumulate_t<T>> d;
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    auto value = hn::Zero(d), slope = hn::Zero(d);
    Activation()(d, lanes.load(gate + i), value, slope);
    const auto grad = lanes.load(dy + i), other = lanes.load(up + i);
    lanes.store(hn::Mul(hn::Mul(grad, other), slope), dgate + i);
    lanes.store(hn::Mul(grad, value), dup + i);
  });
}

template <class T>
void gated_values(GatedActivation kind, const T* gate, const T* up, int64_t count, T* y) {
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
void gated_values_backward(GatedActivation kind,
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

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void gated_values(GatedActivation kind, const T* gate, const T* up, int64_t count, T* y) {
  LMOE_DISPATCH(gated_values<T>)(kind, gate, up, count, y);
}

template <class T>
void gated_values_backward(GatedActivation kind,
                           const T* gate,
                           const T* up,
                           const T* dy,
                           int64_t count,
                           T* dgate,
                           T* dup) {
  LMOE_DISPATCH(gated_values_backward<T>)(kind, gate, up, dy, count, dgate, dup);
}

#define LMOE_INSTANTIATE(T)                                                                      \
  template void gated_values<T>(GatedActivation, const T*, const T*, int64_t, T*);               \
  template void gated_values_backward<T>(GatedActivation, const T*, const T*, const T*, int64_t, \
                                         T*, T*);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(BFloat16)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
