#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "lora";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 1;
  spec.gate.source = GateSource::kConstant;
  spec.normalize = Normalize::kConstant;
  return spec;
}

}  // namespace

const MethodInfo kLora = {
    "lora",
    "one low-rank adapter per projection, no router: the baseline of every mixture",
    "arXiv 2106.09685",
    preset,
};

}  // namespace lmoe::spec
