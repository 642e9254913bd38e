#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// The paper's formula may have free numbers: normalize=logits.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "cat";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 2;
  spec.experts.rank = 32;
  spec.experts.alpha = 64;
  spec.gate.source = GateSource::kLearned;
  spec.gate.net = GateNet::kScalars;
  spec.gate.init_range = 1.0;
  spec.schedule.freeze_experts = true;
  return spec;
}

}  // namespace

const MethodInfo kCat = {
    "cat",
    "LoRA Soups: one learned weight per finished LoRA and projection, the same for all tokens",
    "arXiv 2410.13025; the softmax over the numbers is its code's",
    preset,
};

}  // namespace lmoe::spec
