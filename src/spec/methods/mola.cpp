#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "mola";
  spec.target_modules = all_seven_projections();
  spec.experts.count_by_layer = {2, 4, 6, 8};
  spec.experts.dropout = 0.05;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.select = {SelectKind::kTopK, 2};
  spec.normalize = Normalize::kRenormalize;
  spec.losses = {{BalanceLoss::kTopKShare, 1e-3, LossOver::kLayersPooledSum}};
  return spec;
}

}  // namespace

const MethodInfo kMola = {
    "mola",
    "top-2 of N LoRA experts per projection, with more experts in higher layers",
    "arXiv 2402.08562 and its code, whose script leaves the loss off; allocation 2-4-6-8",
    preset,
};

}  // namespace lmoe::spec
