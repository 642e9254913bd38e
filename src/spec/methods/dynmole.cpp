#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "dynmole";
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.count = 6;
  spec.experts.rank = 24;
  spec.experts.alpha = 48;
  spec.experts.dropout = 0.05;
  spec.gate.init = GateInit::kKaimingUniform;
  const EntropySpec tsallis = {.order = 1.1, .normalized = true, .epsilon = 1e-5};
  spec.select = {.kind = SelectKind::kEntropySwitch,
                 .k = 2,
                 .top_p = 0.75,
                 .threshold = 0.9,
                 .include_crossing = false,
                 .entropy = tsallis};
  spec.losses = {{BalanceLoss::kEntropy, 1e-2, LossOver::kPooled, tsallis},
                 {BalanceLoss::kSoftSwitch, 1e-3, LossOver::kPooled}};
  return spec;
}

}  // namespace

const MethodInfo kDynMole = {
    "dynmole",
    "all experts where the gate is undecided, else the likeliest few, by its entropy",
    "arXiv 2504.00661 and its code; flags where a re-implementation differs: "
    "select.include_crossing, select.entropy.normalized, normalize: renormalize",
    preset,
};

}  // namespace lmoe::spec
