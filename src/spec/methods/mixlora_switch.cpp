#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// The code of MoE-PEFT returns the block's input at inference; here, as in training, the chosen
// expert's output times its probability.
MixtureSpec preset() {
  MixtureSpec spec = mixlora_parts();
  spec.method = "mixlora-switch";
  spec.gate.init_range = 1.0;
  spec.gate.jitter = 0.01;
  spec.select.k = 1;
  spec.select.capacity = 32;
  spec.normalize = Normalize::kSoftmax;
  spec.losses = {{BalanceLoss::kSwitch, 1e-3, LossOver::kPooled},
                 {BalanceLoss::kZ, 1e-3, LossOver::kPooled}};
  return spec;
}

}  // namespace

const MethodInfo kMixLoraSwitch = {
    "mixlora-switch",
    "MixLoRA with one expert per token, times its probability, and 32 tokens per expert",
    "MoE-PEFT 2.0.2; tokens over capacity pass through, also at inference",
    preset,
};

}  // namespace lmoe::spec
