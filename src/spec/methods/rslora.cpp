#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "rslora";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 1;
  spec.experts.use_rslora = true;
  spec.gate.source = GateSource::kConstant;
  spec.normalize = Normalize::kConstant;
  return spec;
}

}  // namespace

const MethodInfo kRsLora = {
    "rslora",
    "LoRA scaled by alpha / sqrt(rank), so that large ranks keep learning",
    "arXiv 2312.03732; scaling as in PEFT",
    preset,
};

}  // namespace lmoe::spec
