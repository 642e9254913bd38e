#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "hydra";
  spec.target_modules = all_seven_projections();
  spec.experts.kind = ExpertKind::kSharedA;
  spec.experts.count = 3;
  spec.gate.init = GateInit::kKaimingUniform;
  return spec;
}

}  // namespace

const MethodInfo kHydra = {
    "hydra",
    "one A for all experts, a B each, mixed per token by a dense gate",
    "arXiv 2404.19245",
    preset,
};

}  // namespace lmoe::spec
