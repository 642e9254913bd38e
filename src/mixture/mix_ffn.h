// Experts that are whole FFNs, between the frozen products: one autograd function for all of them.
//
// Legend: N tokens, H hidden, I inner size, E experts, R rank, P targets among gate and up.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "mixture/expert_rows.h"
#include "nn/gated_activation.h"

namespace lmoe::mixture {

struct FfnFactors {
  at::Tensor gate_up_a;                  ///< [P * E * R, H], or undefined
  std::vector<at::Tensor> gate_up_b;     ///< of each target [I, E * R]
  std::vector<int64_t> gate_up_targets;  ///< 0 gate, 1 up
  at::Tensor down_a, down_b;             ///< [E * R, I], [H, E * R], or undefined
  double scaling = 1.0;
};

struct MixedFfn {
  at::Tensor mixed;  ///< [N, I] sum of w_e a_e, what the frozen down projection reads
  at::Tensor low;    ///< [N, H] sum of w_e s B2_e A2_e drop(a_e), or undefined without down factors
};

/// x [N, H] what the adapters of gate and up read; gate, up [N, I] of the frozen projections; of
/// one type, float32, bfloat16 or float64. weights [N, E]: experts of weight 0 are not computed and
/// their weight gets no gradient. Factors may be of another floating type; products with them run
/// in float32, or float64 for float64.
MixedFfn mix_ffn(const at::Tensor& x,
                 const at::Tensor& gate,
                 const at::Tensor& up,
                 const at::Tensor& weights,
                 const FfnFactors& factors,
                 nn::GatedActivation activation,
                 const DropoutMask& dropout);

}  // namespace lmoe::mixture
