// Between the two GEMMs: the small token-dependent matrix M(x), by `apply`, forward and backward in
// one pass over memory each. The formulas are in kernels/middle_stage.h.
//
// Legend: N tokens, P projections, E experts, R rank. u = A_cat x and v are [N, P, E, R], weights
// [N, G, E] where G is P, or 1 when all projections share them.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// `down` holds u as [N, P * E * R], rows possibly further apart; float32, bfloat16 or float64.
/// `weights` are float32 (float64 for a float64 `down`), contiguous. Returns v, contiguous, of the
/// shape of `down`. No autograd: MixAndProject is what knows the gradients.
at::Tensor middle_stage(const at::Tensor& down,
                        const at::Tensor& weights,
                        int64_t projections,
                        spec::Apply apply);

struct MiddleGradients {
  at::Tensor down, weights;
};

/// `dv` is contiguous and has the shape and type of v.
MiddleGradients middle_stage_backward(const at::Tensor& down,
                                      const at::Tensor& weights,
                                      const at::Tensor& dv,
                                      int64_t projections,
                                      spec::Apply apply);

}  // namespace lmoe::mixture
