#include "kernels/middle_stage.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/middle_stage.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

template <class D>
HWY_INLINE hn::TFromD<D> sum_of(D d, hn::Vec<D> values) {
  return hn::GetLane(hn::SumOfLanes(d, values));
}

// One token at one projection: u, v and their gradients are [experts, rank], w and dw [experts].
// Ranks are outside, so that sums over experts stay in a register.

struct Deltas {
  template <class D, class T>
  static HWY_INLINE void mix(D d, MiddleSizes s, const hn::TFromD<D>* w, const T* u, T* v) {
    for_each_vector(d, s.rank, [&](auto lanes, int64_t r) LMOE_LANES {
      for (int64_t e = 0, i = r; e < s.experts; ++e, i += s.rank)
        lanes.store(hn::Mul(hn::Set(d, w[e]), lanes.load(u + i)), v + i);
    });
  }

  template <class D, class T, class A>
  static HWY_INLINE void mix_backward(
      D d, MiddleSizes s, const A* w, const T* u, const T* dv, T* du, A* dw) {
    for_each_vector(d, s.rank, [&](auto lanes, int64_t r) LMOE_LANES {
      for (int64_t e = 0, i = r; e < s.experts; ++e, i += s.rank) {
        const auto own = lanes.load(dv + i);
        lanes.store(hn::Mul(hn::Set(d, w[e]), own), du + i);
        dw[e] += sum_of(d, hn::Mul(own, lanes.load(u + i)));
      }
    });
  }
};

struct Factors {
  template <class D, class T>
  static HWY_INLINE void mix(D d, MiddleSizes s, const hn::TFromD<D>* w, const T* u, T* v) {
    for_each_vector(d, s.rank, [&](auto lanes, int64_t r) LMOE_LANES {
      const auto m = weighted_sum(d, lanes, s, w, u + r);
      for (int64_t e = 0, i = r; e < s.experts; ++e, i += s.rank)
        lanes.store(hn::Mul(hn::Set(d, w[e]), m), v + i);
    });
  }

  template <class D, class T, class A>
  static HWY_INLINE void mix_backward(
      D d, MiddleSizes s, const A* w, const T* u, const T* dv, T* du, A* dw) {
    for_each_vector(d, s.rank, [&](auto lanes, int64_t r) LMOE_LANES {
      const auto m = weighted_sum(d, lanes, s, w, u + r);
      const auto q = weighted_sum(d, lanes, s, w, dv + r);
      for (int64_t e = 0, i = r; e < s.experts; ++e, i += s.rank) {
        lanes.store(hn::Mul(hn::Set(d, w[e]), q), du + i);
        dw[e] += sum_of(d, hn::MulAdd(lanes.load(dv + i), m, hn::Mul(q, lanes.load(u + i))));
      }
    });
  }

 private:
  /// sum over experts of w_i x_i
  template <class D, class Lanes, class T>
  static HWY_INLINE hn::Vec<D> weighted_sum(
      D d, Lanes lanes, MiddleSizes s, const hn::TFromD<D>* w, const T* x) {
    auto sum = hn::Zero(d);
    for (int64_t e = 0; e < s.experts; ++e)
      sum = hn::MulAdd(hn::Set(d, w[e]), lanes.load(x + e * s.rank), sum);
    return sum;
  }
};

/// body(d, place of u, place of v, place of w) for each token and projection. Vectors are no longer
/// than a rank where they can be: a part of one costs more than the whole of a shorter one.
template <class D, class Body>
HWY_INLINE void for_each_block(D d, MiddleSizes s, const Body& body) {
  for (int64_t t = 0; t < s.tokens; ++t)
    for (int64_t p = 0; p < s.projections; ++p)
      body(d, t * s.u_stride + p * s.block(), t * s.width() + p * s.block(), s.gate(t, p));
}
template <class A, class Body>
HWY_INLINE void for_each_block(MiddleSizes s, const Body& body) {
  if (s.rank <= 4) return for_each_block(hn::CappedTag<A, 4>(), s, body);
  if (s.rank <= 8) return for_each_block(hn::CappedTag<A, 8>(), s, body);
  for_each_block(hn::ScalableTag<A>(), s, body);
}

template <class Form, class T, class A>
void mix_all(MiddleSizes s, const T* u, const A* w, T* v) {
  for_each_block<A>(s, [&](auto d, int64_t from, int64_t to, int64_t gate)
                           LMOE_LANES { Form::mix(d, s, w + gate, u + from, v + to); });
}

template <class Form, class T, class A>
void mix_backward_all(MiddleSizes s, const T* u, const A* w, const T* dv, T* du, A* dw) {
  for_each_block<A>(s, [&](auto d, int64_t from, int64_t to, int64_t gate) LMOE_LANES {
    Form::mix_backward(d, s, w + gate, u + from, dv + to, du + to, dw + gate);
  });
}

template <class T>
void middle_stage_rows(MiddleForm form, MiddleSizes s, const T* u, const accumulate_t<T>* w, T* v) {
  switch (form) {
    case MiddleForm::kDeltas:
      return mix_all<Deltas>(s, u, w, v);
    case MiddleForm::kFactors:
      return mix_all<Factors>(s, u, w, v);
  }
}

template <class T>
void middle_stage_backward_rows(MiddleForm form,
                                MiddleSizes s,
                                const T* u,
                                const accumulate_t<T>* w,
                                const T* dv,
                                T* du,
                                accumulate_t<T>* dw) {
  switch (form) {
    case MiddleForm::kDeltas:
      return mix_backward_all<Deltas>(s, u, w, dv, du, dw);
    case MiddleForm::kFactors:
      return mix_backward_all<Factors>(s, u, w, dv, du, dw);
  }
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void middle_stage_rows(
    MiddleForm form, MiddleSizes sizes, const T* u, const accumulate_t<T>* weights, T* v) {
  LMOE_DISPATCH(middle_stage_rows<T>)(form, sizes, u, weights, v);
}

template <class T>
void middle_stage_backward_rows(MiddleForm form,
                                MiddleSizes sizes,
                                const T* u,
                                const accumulate_t<T>* weights,
                                const T* dv,
                                T* du,
                                accumulate_t<T>* dweights) {
  LMOE_DISPATCH(middle_stage_backward_rows<T>)(form, sizes, u, weights, dv, du, dweights);
}

#define LMOE_INSTANTIATE(T, A)                                                             \
  template void middle_stage_rows<T>(MiddleForm, MiddleSizes, const T*, const A*, T*);     \
  template void middle_stage_backward_rows<T>(MiddleForm, MiddleSizes, const T*, const A*, \
                                              const T*, T*, A*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
