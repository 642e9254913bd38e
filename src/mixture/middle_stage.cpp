#include "mixture/middle_stage.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {
namespace {

struct Sizes {
  int64_t projections, experts, rank;
  int64_t weight_step;  ///< from one projection's weights to the next; 0 when they are shared

  int64_t block() const { return experts * rank; }
  int64_t width() const { return projections * block(); }
};

Sizes sizes_of(const at::Tensor& down, const at::Tensor& weights, int64_t projections) {
  const int64_t experts = weights.size(2);
  return {projections, experts, down.size(1) / (projections * experts),
          weights.size(1) == 1 ? 0 : experts};
}

/// out[r] = sum over experts of w_i x_i[r]
template <class T, class W>
void weighted_sum(const Sizes& s, const W* w, const T* x, W* out) {
  std::fill(out, out + s.rank, W(0));
  for (int64_t e = 0; e < s.experts; ++e) {
    for (int64_t r = 0; r < s.rank; ++r) out[r] += w[e] * static_cast<W>(x[e * s.rank + r]);
  }
}

template <class W, class A, class B>
W dot(int64_t count, const A* a, const B* b) {
  W sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<W>(a[i]) * static_cast<W>(b[i]);
  return sum;
}

/// out_i = w_i x_i, or w_i x for one x of all experts (`step` 0).
template <class T, class W, class X>
void scale_each(const Sizes& s, const W* w, const X* x, int64_t step, T* out) {
  for (int64_t e = 0; e < s.experts; ++e) {
    for (int64_t r = 0; r < s.rank; ++r)
      out[e * s.rank + r] = static_cast<T>(w[e] * static_cast<W>(x[e * step + r]));
  }
}

/// One token and projection. `mean` is scratch of R values.
template <class T, class W>
void mix(const Sizes& s, spec::Apply apply, const W* w, const T* u, W* mean, T* v) {
  if (apply == spec::Apply::kDeltas) {
    scale_each(s, w, u, s.rank, v);
  } else {
    weighted_sum(s, w, u, mean);
    scale_each(s, w, mean, 0, v);
  }
}

/// Adds to `dw`. `scratch` holds 2 R values.
template <class T, class W>
void mix_backward(const Sizes& s,
                  spec::Apply apply,
                  const W* w,
                  const T* u,
                  const T* dv,
                  W* scratch,
                  T* du,
                  W* dw) {
  if (apply == spec::Apply::kDeltas) {
    scale_each(s, w, dv, s.rank, du);
    for (int64_t e = 0; e < s.experts; ++e)
      dw[e] += dot<W>(s.rank, dv + e * s.rank, u + e * s.rank);
    return;
  }
  W* mean = scratch;
  W* q = scratch + s.rank;
  weighted_sum(s, w, u, mean);
  weighted_sum(s, w, dv, q);
  scale_each(s, w, q, 0, du);
  for (int64_t e = 0; e < s.experts; ++e)
    dw[e] += dot<W>(s.rank, dv + e * s.rank, mean) + dot<W>(s.rank, q, u + e * s.rank);
}

}  // namespace

at::Tensor middle_stage(const at::Tensor& down,
                        const at::Tensor& weights,
                        int64_t projections,
                        spec::Apply apply) {
  if (!down.device().is_cpu()) return with_aten::middle_stage(down, weights, projections, apply);
  const Sizes s = sizes_of(down, weights, projections);
  at::Tensor v = at::empty({down.size(0), s.width()}, down.options());
  nn::dispatch_dtype(down, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using W = nn::accumulate_t<T>;
    const T* u = down.const_data_ptr<T>();
    const W* w = weights.const_data_ptr<W>();
    T* out = v.template data_ptr<T>();
    const int64_t stride = down.stride(0), weight_stride = weights.stride(0);
    nn::parallel_rows(down.size(0), s.width(), [&](int64_t first, int64_t last) {
      std::vector<W> mean(static_cast<size_t>(s.rank));
      for (int64_t t = first; t < last; ++t)
        for (int64_t p = 0; p < s.projections; ++p)
          mix(s, apply, w + t * weight_stride + p * s.weight_step, u + t * stride + p * s.block(),
              mean.data(), out + t * s.width() + p * s.block());
    });
  });
  return v;
}

MiddleGradients middle_stage_backward(const at::Tensor& down,
                                      const at::Tensor& weights,
                                      const at::Tensor& dv,
                                      int64_t projections,
                                      spec::Apply apply) {
  if (!down.device().is_cpu())
    return with_aten::middle_stage_backward(down, weights, dv, projections, apply);
  const Sizes s = sizes_of(down, weights, projections);
  MiddleGradients gradients{at::empty(dv.sizes(), dv.options()), at::zeros_like(weights)};
  nn::dispatch_dtype(down, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using W = nn::accumulate_t<T>;
    const T *u = down.const_data_ptr<T>(), *dv_data = dv.const_data_ptr<T>();
    const W* w = weights.const_data_ptr<W>();
    T* du = gradients.down.template data_ptr<T>();
    W* dw = gradients.weights.template data_ptr<W>();
    const int64_t stride = down.stride(0), weight_stride = weights.stride(0);
    nn::parallel_rows(down.size(0), s.width(), [&](int64_t first, int64_t last) {
      std::vector<W> scratch(static_cast<size_t>(2 * s.rank));
      for (int64_t t = first; t < last; ++t) {
        for (int64_t p = 0; p < s.projections; ++p) {
          const int64_t own = t * s.width() + p * s.block();
          const int64_t gate = t * weight_stride + p * s.weight_step;
          mix_backward(s, apply, w + gate, u + t * stride + p * s.block(), dv_data + own,
                       scratch.data(), du + own, dw + gate);
        }
      }
    });
  });
  return gradients;
}

}  // namespace lmoe::mixture
