#include "mixture/middle_stage.h"

#include <ATen/ATen.h>

#include "kernels/middle_stage.h"
#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {
namespace {

kernels::MiddleForm form_of(spec::Apply apply) {
  return apply == spec::Apply::kDeltas ? kernels::MiddleForm::kDeltas
                                       : kernels::MiddleForm::kFactors;
}

kernels::MiddleSizes sizes_of(const at::Tensor& down,
                              const at::Tensor& weights,
                              int64_t projections) {
  const int64_t experts = weights.size(2);
  return {.tokens = down.size(0),
          .projections = projections,
          .experts = experts,
          .rank = down.size(1) / (projections * experts),
          .gates = weights.size(1),
          .u_stride = down.stride(0)};
}

/// body(sizes of some of the tokens, the first one's place in u, in what is contiguous, in weights)
template <class Body>
void parallel_tokens(const kernels::MiddleSizes& all, const Body& body) {
  nn::parallel_rows(all.tokens, all.width(), [&](int64_t first, int64_t last) {
    kernels::MiddleSizes some = all;
    some.tokens = last - first;
    body(some, first * all.u_stride, first * all.width(), all.gate(first, 0));
  });
}

}  // namespace

at::Tensor middle_stage(const at::Tensor& down,
                        const at::Tensor& weights,
                        int64_t projections,
                        spec::Apply apply) {
  if (!down.device().is_cpu()) return with_aten::middle_stage(down, weights, projections, apply);
  const kernels::MiddleSizes all = sizes_of(down, weights, projections);
  at::Tensor v = at::empty({all.tokens, all.width()}, down.options());
  nn::dispatch_dtype(down, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto* u = nn::stored(down.const_data_ptr<T>());
    const auto* w = weights.const_data_ptr<nn::accumulate_t<T>>();
    auto* out = nn::stored(v.template data_ptr<T>());
    parallel_tokens(all, [&](const auto& some, int64_t from, int64_t to, int64_t gate) {
      kernels::middle_stage_rows(form_of(apply), some, u + from, w + gate, out + to);
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
  const kernels::MiddleSizes all = sizes_of(down, weights, projections);
  MiddleGradients gradients{at::empty(dv.sizes(), dv.options()), at::zeros_like(weights)};
  nn::dispatch_dtype(down, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = nn::accumulate_t<T>;
    const auto *u = nn::stored(down.const_data_ptr<T>()),
               *dv_data = nn::stored(dv.const_data_ptr<T>());
    const A* w = weights.const_data_ptr<A>();
    auto* du = nn::stored(gradients.down.template data_ptr<T>());
    A* dw = gradients.weights.template data_ptr<A>();
    parallel_tokens(all, [&](const auto& some, int64_t from, int64_t to, int64_t gate) {
      kernels::middle_stage_backward_rows(form_of(apply), some, u + from, w + gate, dv_data + to,
                                          du + to, dw + gate);
    });
  });
  return gradients;
}

}  // namespace lmoe::mixture
