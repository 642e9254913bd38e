#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "smora";
  spec.target_modules = all_seven_projections();
  spec.experts.kind = ExpertKind::kRankOne;
  spec.experts.count = 64;
  spec.experts.rank = 1;
  spec.experts.alpha = 16;
  spec.experts.scale_by = ScaleBy::kActive;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.select = {SelectKind::kTopK, 8};
  spec.normalize = Normalize::kSumToK;
  spec.bias = {BiasUse::kScore, 1e-5};
  return spec;
}

}  // namespace

const MethodInfo kSmora = {
    "smora",
    "each rank of one LoRA is an expert; 8 of 64 take part in a token",
    "arXiv 2501.15103 and its code",
    preset,
};

}  // namespace lmoe::spec
