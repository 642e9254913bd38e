// The middle stage of core experts, which share A and B and differ in a small matrix between them:
//
//   v_p = sum over e of w_e * M_{p,e} u_p
//
// One autograd function: it keeps u, w and the M's, and makes the wide product w ⊗ u, which one
// GEMM turns into v, again in backward.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::mixture {

/// u [N, P * R], weights [N, P or 1, E], cores [P * E, R, R] in the type of u -> v [N, P * R].
at::Tensor mix_cores(const at::Tensor& down, const at::Tensor& weights, const at::Tensor& cores);

}  // namespace lmoe::mixture
