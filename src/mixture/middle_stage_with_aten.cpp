#include <ATen/ATen.h>

#include "mixture/with_aten.h"

namespace lmoe::mixture::with_aten {
namespace {

/// [N, P * E * R] -> [N, P, E, R], in the type of the weights.
at::Tensor by_expert(const at::Tensor& rows, const at::Tensor& weights, int64_t projections) {
  const int64_t experts = weights.size(2), rank = rows.size(1) / (projections * experts);
  return rows.to(weights.scalar_type()).reshape({rows.size(0), projections, experts, rank});
}

/// [N, P, E, R] -> [N, P, 1, R]
at::Tensor sum_over_experts(const at::Tensor& each) {
  return each.sum(/*dim=*/2, /*keepdim=*/true);
}

}  // namespace

at::Tensor middle_stage(const at::Tensor& down,
                        const at::Tensor& weights,
                        int64_t projections,
                        spec::Apply apply) {
  const at::Tensor w = weights.unsqueeze(/*dim=*/-1);
  at::Tensor v = w * by_expert(down, weights, projections);
  if (apply == spec::Apply::kFactors) v = w * sum_over_experts(v);
  return v.reshape(down.sizes()).to(down.scalar_type());
}

MiddleGradients middle_stage_backward(const at::Tensor& down,
                                      const at::Tensor& weights,
                                      const at::Tensor& dv,
                                      int64_t projections,
                                      spec::Apply apply) {
  const at::Tensor w = weights.unsqueeze(/*dim=*/-1);
  const at::Tensor u = by_expert(down, weights, projections);
  const at::Tensor dv_each = by_expert(dv, weights, projections);
  at::Tensor du = w * dv_each, dw = dv_each * u;
  if (apply == spec::Apply::kFactors) {
    const at::Tensor q = sum_over_experts(du);
    dw = dv_each * sum_over_experts(w * u) + q * u;
    du = w * q;
  }
  dw = dw.sum(/*dim=*/-1);
  if (weights.size(1) < projections) dw = dw.sum(/*dim=*/1, /*keepdim=*/true);
  return {du.reshape(dv.sizes()).to(dv.scalar_type()), dw};
}

}  // namespace lmoe::mixture::with_aten
