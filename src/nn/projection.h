// Frozen projections that share one input, and the socket where a mixture plugs in.
//
// q, k, v (and gate, up) read the same x, so they form one group: a mixture can stack its A's and
// gates over the group.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "nn/forward_context.h"
#include "nn/frozen_matrix.h"

namespace lmoe::nn {

struct FrozenLinear {
  std::string name;         ///< "q_proj"
  std::string module_path;  ///< "model.layers.3.self_attn.q_proj"
  FrozenMatrix weight;      ///< [out, in]
  at::Tensor bias;          ///< [out] or undefined
};

struct SocketInput {
  at::Tensor x;            ///< [N, in] what the projections read
  at::Tensor block_input;  ///< [N, H] the normalised input of the sub-block (attention or MLP)
};

/// The socket of a group of projections.
class ProjectionDelta {
 public:
  virtual ~ProjectionDelta() = default;
  /// `outputs[i]` is [N, out_i] of the frozen linear i (bias included), handed over: it may be
  /// changed in place, so it must be neither a leaf nor a view. Returns the adapted outputs, same
  /// shapes.
  virtual std::vector<at::Tensor> apply(const SocketInput& input,
                                        std::vector<at::Tensor> outputs,
                                        ForwardContext& context) = 0;
};

class ProjectionGroup {
 public:
  /// `block` is "self_attn" or "mlp".
  ProjectionGroup(int layer, std::string block, std::vector<FrozenLinear> linears);

  int layer() const { return layer_; }
  const std::string& block() const { return block_; }
  const std::vector<FrozenLinear>& linears() const { return linears_; }

  /// One output [N, out_i] per linear.
  std::vector<at::Tensor> forward(const SocketInput& input, ForwardContext& context) const;

  /// Throws kInvalidArgument when the socket is taken.
  void check_free() const;
  void plug(std::shared_ptr<ProjectionDelta> delta);
  bool is_plugged() const { return delta_ != nullptr; }
  void unplug() { delta_.reset(); }

 private:
  int layer_;
  std::string block_;
  std::vector<FrozenLinear> linears_;
  std::shared_ptr<ProjectionDelta> delta_;
};

/// A trainable tensor and the name it has in messages and checkpoints.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

}  // namespace lmoe::nn
