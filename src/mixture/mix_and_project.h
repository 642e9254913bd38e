// From A_cat x and routing weights to the adapted outputs of all projections of a group.
//
//   y_p += scaling * B_p * v_p,   v = middle stage of u and w
//
// One autograd function: it keeps u and w, makes v again in backward, and writes into y, so nothing
// of full width is kept or copied.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// u [N, P * E * R]; weights [N, P or 1, E], or undefined for v = u; `ups[p]` is B_p [out_p, E * R]
/// in the type of u; `outputs[p]` is y_p [N, out_p], changed in place and returned.
std::vector<at::Tensor> mix_and_project(const at::Tensor& down,
                                        const at::Tensor& weights,
                                        const std::vector<at::Tensor>& ups,
                                        const std::vector<at::Tensor>& outputs,
                                        spec::Apply apply,
                                        double scaling);

}  // namespace lmoe::mixture
