#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// Stages are shares of the steps: text has no list of solved tasks to switch by. The number before
// the frozen weights themselves is left out.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "scalezero";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 4;
  spec.experts.rank = 64;
  spec.experts.alpha = 32;
  spec.gate.source = GateSource::kLearned;
  spec.gate.net = GateNet::kScalars;
  spec.gate.init_range = 0.0;
  spec.normalize = Normalize::kBounded;
  spec.schedule.staged = true;
  return spec;
}

}  // namespace

const MethodInfo kScaleZero = {
    "scalezero",
    "one LoRA after another; what came before is frozen and weighed anew within 0.8 to 1.2",
    "arXiv 2509.07945; rank and alpha are its code's",
    preset,
};

}  // namespace lmoe::spec
