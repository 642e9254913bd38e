#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// 8 experts times 4, 2, 0.5, 0.25. Other shapes are [2, 4, 16, 32] (inverted triangle),
// [32, 2, 2, 32] (hourglass) and [8] (rectangle: its mixture of LoRAs).
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "lorafactory-mola";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 32;
  spec.experts.count_by_layer = {32, 16, 4, 2};
  spec.experts.rank = 1;   // 8 / experts, rounded up
  spec.experts.alpha = 4;  // lora_scaler 32 / rank 8
  spec.experts.scale_by = ScaleBy::kNone;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.select = {SelectKind::kTopK, 2};
  spec.normalize = Normalize::kSoftmaxSelected;
  return spec;
}

}  // namespace

const MethodInfo kLoraFactoryMola = {
    "lorafactory-mola",
    "MoLA of the LoRAFactory code: top-2 of many rank-1 experts, four times as many at the bottom",
    "arXiv 2601.22708 and its code; k is ours, layers with only k experts keep their "
    "gate, and its balance loss is left out",
    preset,
};

}  // namespace lmoe::spec
