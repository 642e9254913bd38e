#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "comol";
  spec.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj", "down_proj"};
  spec.experts.kind = ExpertKind::kCore;
  spec.experts.rank = 16;
  spec.gate.source = GateSource::kRankActivation;
  spec.gate.init = GateInit::kKaimingUniform;
  return spec;
}

}  // namespace

const MethodInfo kComol = {
    "comol",
    "one LoRA per projection whose small core matrix is mixed per token in rank space",
    "arXiv 2603.00573 and its code; alpha is ours",
    preset,
};

}  // namespace lmoe::spec
