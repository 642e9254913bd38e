// The fused passes of this room as ATen composes them, for tensors on devices that our kernels do
// not know; where they are not on the CPU, the functions of the same names call these. Same numbers
// but for the order in which sums are added.
//
// Legend: N tokens, P projections, E experts, R rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "mixture/middle_stage.h"
#include "mixture/mix_ffn.h"

namespace lmoe::mixture::with_aten {

/// As in middle_stage.h; autograd can differentiate it, too.
at::Tensor middle_stage(const at::Tensor& down,
                        const at::Tensor& weights,
                        int64_t projections,
                        spec::Apply apply);

MiddleGradients middle_stage_backward(const at::Tensor& down,
                                      const at::Tensor& weights,
                                      const at::Tensor& dv,
                                      int64_t projections,
                                      spec::Apply apply);

/// The same numbers, but those that are 0 get no gradient: experts that take no part.
at::Tensor chosen_weights(const at::Tensor& weights);

/// As in mix_selected.h, by A x of all experts: which tokens chose one is not asked for, which
/// would make a device wait.
std::vector<at::Tensor> mix_selected(const at::Tensor& x,
                                     const at::Tensor& weights,
                                     const at::Tensor& a,
                                     const std::vector<at::Tensor>& ups,
                                     const std::vector<at::Tensor>& outputs,
                                     double scaling);

/// As in mix_ffn.h, with every expert run on every token and kept for the backward.
MixedFfn mix_ffn(const at::Tensor& x,
                 const at::Tensor& gate,
                 const at::Tensor& up,
                 const at::Tensor& weights,
                 const FfnFactors& factors,
                 nn::GatedActivation activation,
                 const DropoutMask& dropout);

/// x [..., D] with row number i of the mask on its i-th row.
at::Tensor drop(const at::Tensor& x, const DropoutMask& mask);

/// The mask's `rows` (int64 [N], on any device), each `width` long: 0 or 1 / (1 - rate), of
/// `dtype`.
at::Tensor dropout_factors(const DropoutMask& mask,
                           const at::Tensor& rows,
                           int64_t width,
                           at::ScalarType dtype);

}  // namespace lmoe::mixture::with_aten
