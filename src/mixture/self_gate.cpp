#include <ATen/ATen.h>

#include "mixture/gate_net.h"

namespace lmoe::mixture {
namespace {

constexpr double kLeastNorm = 1e-8;  // moram.md

/// A x of each rank is its logit, after an activation.
class SelfGate : public GateNet {
 public:
  explicit SelfGate(spec::GateActivation activation) : activation_(activation) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    switch (activation_) {
      case spec::GateActivation::kNone:
        return input;
      case spec::GateActivation::kAbs:
        return input.abs();
      case spec::GateActivation::kUnitNorm:
        return input / input.norm(2, /*dim=*/-1, /*keepdim=*/true).clamp_min(kLeastNorm);
    }
    return {};
  }

  std::vector<StackedTensor> tensors() const override { return {}; }

 private:
  spec::GateActivation activation_;
};

}  // namespace

std::unique_ptr<GateNet> make_self_gate(const spec::GateSpec& spec) {
  return std::make_unique<SelfGate>(spec.activation);
}

}  // namespace lmoe::mixture
