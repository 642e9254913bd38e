// The feed-forward block of a layer, down(activation(gate x) * up x), and the socket for what
// replaces it as a whole.
//
// Legend: N tokens, H hidden size, I inner size.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "nn/forward_context.h"
#include "nn/gated_activation.h"
#include "nn/projection.h"

namespace lmoe::nn {

class GatedMlp;

/// The socket of a whole feed-forward block: mixtures of what comes after the non-linearity.
class BlockMixer {
 public:
  virtual ~BlockMixer() = default;
  /// x [N, H], the block's normalised input -> its output [N, H]. `mlp` holds the frozen
  /// projections; their own sockets act when they are run through `gate_up()` and `down()`.
  virtual at::Tensor apply(const at::Tensor& x, const GatedMlp& mlp, ForwardContext& context) = 0;
};

class GatedMlp {
 public:
  GatedMlp(int layer,
           GatedActivation activation,
           std::vector<FrozenLinear> gate_up,
           std::vector<FrozenLinear> down);

  /// Through the socket when something is plugged in, else `forward_alone`.
  at::Tensor forward(const at::Tensor& x, ForwardContext& context) const;
  at::Tensor forward_alone(const at::Tensor& x, ForwardContext& context) const;

  int layer() const { return gate_up_.layer(); }
  GatedActivation activation() const { return activation_; }
  const ProjectionGroup& gate_up() const { return gate_up_; }  ///< gate_proj, up_proj
  const ProjectionGroup& down() const { return down_; }
  std::vector<ProjectionGroup*> projection_groups() { return {&gate_up_, &down_}; }

  /// Throws kInvalidArgument when the socket is taken.
  void check_free() const;
  void plug(std::shared_ptr<BlockMixer> mixer);
  /// Into the block as a whole, or into one of its projections.
  bool is_plugged() const {
    return mixer_ != nullptr || gate_up_.is_plugged() || down_.is_plugged();
  }
  void unplug() { mixer_.reset(); }

 private:
  GatedActivation activation_;
  ProjectionGroup gate_up_, down_;
  std::shared_ptr<BlockMixer> mixer_;
};

}  // namespace lmoe::nn
