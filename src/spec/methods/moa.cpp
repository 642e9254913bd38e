#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// One router of a block with an independent sigmoid for each adapter is one row of its own for each
// adapter: a gate per projection with one expert, all reading the same input.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "moa";
  spec.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj", "down_proj"};
  spec.experts.count = 1;
  spec.experts.alpha = 8;
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.normalize = Normalize::kSigmoid;
  return spec;
}

}  // namespace

const MethodInfo kMoa = {
    "moa",
    "one LoRA per projection, weighed per token by a sigmoid of its own; without the parallel "
    "bottleneck, the prompt vectors and the SwiGLU router",
    "arXiv 2506.05928; the gates read the normalised input of attention or MLP, not the raw one",
    preset,
};

}  // namespace lmoe::spec
