// The deltas of projections where few of many experts take part: only those that were chosen are
// computed, token by token sorted by expert.
//
//   y_p += sum over chosen e of w_p,e s B_p,e A_p,e x
//
// The same as A x of all experts, `mix_and_project` with apply deltas; cheaper when k is much
// smaller than E, see top_k_table.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace lmoe::mixture {

/// x [N, in], float32, bfloat16 or float64; weights [N, P or 1, E], 0 for experts that take no part
/// (their weights get no gradient); a [P * E * R, in]; `ups[p]` is B_p [out_p, E * R]; `outputs[p]`
/// is y_p [N, out_p], contiguous, changed in place and returned. Factors may be of another floating
/// type; products with them run in float32, or float64 for float64.
std::vector<at::Tensor> mix_selected(const at::Tensor& x,
                                     const at::Tensor& weights,
                                     const at::Tensor& a,
                                     const std::vector<at::Tensor>& ups,
                                     const std::vector<at::Tensor>& outputs,
                                     double scaling);

}  // namespace lmoe::mixture
