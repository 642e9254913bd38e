// The form of a gate: values of `gate.net`.
//
// G gates that read the same input (q, k, v of one layer) are stacked by rows and run as one.
// Legend: N tokens, D input width, E experts, M hidden width.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// A trained tensor of stacked gates: gate g owns the g-th of G equal blocks of rows.
struct StackedTensor {
  std::string suffix;  ///< name in router.safetensors after "<site>.gate."
  at::Tensor tensor;
};

class GateNet {
 public:
  virtual ~GateNet() = default;
  /// input [N, D] -> [N, G, E]
  virtual at::Tensor logits(const at::Tensor& input) const = 0;
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
/// By `gate.net`.
std::unique_ptr<GateNet> make_gate_net(const spec::GateSpec&, const GateShape&, Rng&);

}  // namespace lmoe::mixture
