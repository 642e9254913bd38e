#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// The released script trains the LoRAs too: schedule.freeze_experts=false.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "meteora";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 28;
  spec.experts.rank = 8;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.select.kind = SelectKind::kTopK;
  spec.select.k = 2;
  spec.normalize = Normalize::kSoftmaxSelected;
  spec.losses = {{BalanceLoss::kTaskCrossEntropy, 50.0}};
  spec.schedule.freeze_experts = true;
  return spec;
}

}  // namespace

const MethodInfo kMeteora = {
    "meteora",
    "finished LoRAs of many tasks; a gate per projection chooses two, taught by the task labels",
    "arXiv 2405.13053; the coefficient of the loss is that of its code",
    preset,
};

}  // namespace lmoe::spec
