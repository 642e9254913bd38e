// The form of a gate: values of `gate.net`.
//
// G gates of one group of projections (q, k, v of one layer) are stacked by rows and run as one.
// Legend: N tokens, D input width, E experts, M hidden width.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "base/rng.h"
#include "mixture/stacked_tensor.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

class GateNet {
 public:
  virtual ~GateNet() = default;
  /// input [N, D], or [N, G, D] when each gate reads its own -> [N, G, E]
  virtual at::Tensor logits(const at::Tensor& input) const = 0;
  /// Trained; names in router.safetensors after "<site>.gate.".
  virtual std::vector<StackedTensor> tensors() const = 0;
  /// [G * E, D] when the logits are these rows times the input and nothing else, so that they can
  /// ride along in another GEMM over the same input; else undefined.
  virtual at::Tensor stackable_rows() const { return {}; }
};

struct GateShape {
  int64_t gates = 1, experts = 1, input_width = 0;
  at::ScalarType dtype = at::kFloat;
};

/// One matrix [E, D] per gate, no bias.
std::unique_ptr<GateNet> make_linear_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// [M, D], SiLU, [E, M] per gate, no biases.
std::unique_ptr<GateNet> make_mlp_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// input [N, G, E] itself, after `gate.activation`; no parameters.
std::unique_ptr<GateNet> make_self_gate(const spec::GateSpec&);
/// By `gate.net`.
std::unique_ptr<GateNet> make_gate_net(const spec::GateSpec&, const GateShape&, Rng&);

}  // namespace lmoe::mixture
