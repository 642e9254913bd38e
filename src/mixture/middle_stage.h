// Between the two GEMMs: the small token-dependent matrix M(x), by `apply`.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// down = A_cat x [N, P, E, R], weights [N, P or 1, E] -> what B_cat is applied to, [N, P, E, R].
///
///   deltas    v_i = w_i u_i
///   factors   v_i = w_i sum_j w_j u_j
at::Tensor middle_stage(const at::Tensor& down, const at::Tensor& weights, spec::Apply apply);

}  // namespace lmoe::mixture
