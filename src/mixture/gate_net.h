// The form of a gate: values of `gate.net`.
//
// G gates of one group of projections (q, k, v of one layer) are stacked by rows and run as one.
// Legend: N tokens, D input width, E experts, M hidden width, Q choices of one gate: 1, or one for
// each group of siblings of a tree.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "mixture/recurrent_cell.h"
#include "mixture/stacked_tensor.h"
#include "nn/forward_context.h"
#include "nn/nearest_references.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

class GateNet {
 public:
  virtual ~GateNet() = default;
  /// input [N, D], or [N, G, D] when each gate reads its own -> [N, G * Q, E]
  virtual at::Tensor logits(const at::Tensor& input, nn::ForwardContext& context) const = 0;
  /// Trained; names in router.safetensors after "<site>.gate.".
  virtual std::vector<StackedTensor> tensors() const = 0;
  /// Trained and the same for all gates of the mixture; names after "model.gate.".
  virtual std::vector<StackedTensor> common_tensors() const { return {}; }
  /// What the gates have stored instead of learned, one memory for all G of them; null but for
  /// `nearest`. An expert none of a token's neighbours went to has logit minus infinity.
  virtual const nn::References* references() const { return nullptr; }
  /// What follows a gate's site in the names of its Q choices.
  virtual std::vector<std::string> choices() const { return {""}; }
  /// [G * E, D] when the logits are these rows times the input and nothing else, so that they can
  /// ride along in another GEMM over the same input; else undefined.
  virtual at::Tensor stackable_rows() const { return {}; }
};

struct GateShape {
  int64_t gates = 1, experts = 1, levels = 1, input_width = 0;
  at::TensorOptions options = at::kFloat;               ///< type and device of what is trained
  std::shared_ptr<const RecurrentCell> cell = nullptr;  ///< of the whole mixture, for `recurrent`
};

/// One matrix [E, D] per gate, no bias.
std::unique_ptr<GateNet> make_linear_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// [M, D], SiLU, [E, M] per gate, no biases.
std::unique_ptr<GateNet> make_mlp_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// input [N, G, E] itself, after `gate.activation`; no parameters.
std::unique_ptr<GateNet> make_self_gate(const spec::GateSpec&);
/// Keys [E, M] of each level; queries from the input and the keys of the ancestors by a layer of
/// width M (ReLU), biases everywhere. Choices root first, siblings in the order of their paths:
/// "", ".under0", ".under1", … ".under0.1".
std::unique_ptr<GateNet> make_tree_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// `depth` linear layers with biases, [M, D], [M, M] …, [G * E, M], ReLU and dropout between them:
/// one net for all G gates (x-lora.md).
std::unique_ptr<GateNet> make_classifier_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// One number per gate and expert, whatever is read.
std::unique_ptr<GateNet> make_scalar_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// [M, D] and [E, M] per gate around the cell that all gates share; reads the state the gate before
/// left in the context and leaves its own. Gates of one group follow each other in their order.
std::unique_ptr<GateNet> make_recurrent_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// Cosines of the input and a key [D] per expert, each computed by itself: they are bit for bit the
/// same whatever other experts there are.
std::unique_ptr<GateNet> make_cosine_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// Logarithms of what the references nearest to the input say about the experts; throws
/// kInvalidArgument while nothing is stored.
std::unique_ptr<GateNet> make_nearest_gate(const spec::GateSpec&, const GateShape&);
/// A small decoder over documents: down [M, D], `depth` blocks of RMSNorm, causal attention with
/// rotary positions, RMSNorm and a SwiGLU, all of width M and without biases, RMSNorm, and
/// [G * E, M]: one net for all G gates (read-me.md). A document sees nothing of others; without
/// documents each token stands alone. With a KV cache its keys and values are kept there.
std::unique_ptr<GateNet> make_causal_gate(const spec::GateSpec&, const GateShape&, Rng&);
/// By `gate.net`.
std::unique_ptr<GateNet> make_gate_net(const spec::GateSpec&, const GateShape&, Rng&);

}  // namespace lmoe::mixture
