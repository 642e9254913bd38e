#include "nn/gated_mlp.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::nn {

GatedMlp::GatedMlp(int layer,
                   GatedActivation activation,
                   std::vector<FrozenLinear> gate_up,
                   std::vector<FrozenLinear> down)
    : activation_(activation),
      gate_up_(layer, "mlp", std::move(gate_up)),
      down_(layer, "mlp", std::move(down)) {}

at::Tensor GatedMlp::forward(const at::Tensor& x, ForwardContext& context) const {
  return mixer_ ? mixer_->apply(x, *this, context) : forward_alone(x, context);
}

at::Tensor GatedMlp::forward_alone(const at::Tensor& x, ForwardContext& context) const {
  std::vector<at::Tensor> gate_up = gate_up_.forward({x, x}, context);
  const at::Tensor activated = gated_activation(activation_, gate_up[0], gate_up[1]);
  gate_up.clear();
  return down_.forward({activated, x}, context)[0];
}

void GatedMlp::check_free() const {
  LMOE_CHECK_ARG(!mixer_, "[attach] the socket of layer ", layer(),
                 " mlp is taken; unplug the other mixture first");
}

void GatedMlp::plug(std::shared_ptr<BlockMixer> mixer) {
  check_free();
  mixer_ = std::move(mixer);
}

}  // namespace lmoe::nn
