#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "dora";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 1;
  spec.experts.use_dora = true;
  spec.gate.source = GateSource::kConstant;
  spec.normalize = Normalize::kConstant;
  return spec;
}

}  // namespace

const MethodInfo kDora = {
    "dora",
    "LoRA turns each row of the weight, a magnitude of its own sets the row's length",
    "arXiv 2402.09353; norms without gradient and dropout as in PEFT",
    preset,
};

}  // namespace lmoe::spec
