#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec = mixlora_parts();
  spec.method = "mixlora-dynamic";
  spec.select = {};
  spec.select.kind = SelectKind::kTopP;
  spec.select.top_p = 0.8;
  spec.normalize = Normalize::kSoftmax;
  return spec;
}

}  // namespace

const MethodInfo kMixLoraDynamic = {
    "mixlora-dynamic",
    "MixLoRA with as many experts per token as reach a probability of 0.8; weights as they are",
    "MoE-PEFT 2.0.2",
    preset,
};

}  // namespace lmoe::spec
