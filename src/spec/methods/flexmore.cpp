#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// Scaling 1: what `lmoe extract` writes is a difference of weights as it is. The bias per expert
// that FlexOlmo learns beside the gate is left out.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "flexmore";
  spec.attach = Attach::kFfnBlock;
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.count = 4;
  spec.experts.rank = 32;
  spec.experts.alpha = 1;
  spec.experts.scale_by = ScaleBy::kNone;
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.share = GateShare::kBlock;
  spec.select = {SelectKind::kTopK, 2};
  spec.normalize = Normalize::kSoftmax;
  spec.apply = Apply::kOutputs;
  spec.schedule.freeze_experts = true;
  return spec;
}

}  // namespace

const MethodInfo kFlexMore = {
    "flexmore",
    "FFNs cut down to LoRAs of unequal ranks beside the untouched one; only their gate learns",
    "arXiv 2602.08818; top-2 as FlexOlmo trains its experts, weights kept as the softmax has them",
    preset,
};

}  // namespace lmoe::spec
