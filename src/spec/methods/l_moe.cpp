#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "l-moe";
  spec.target_modules = all_seven_projections();
  spec.losses = {LossSpec{BalanceLoss::kCv2, 1e-2}};
  return spec;
}

}  // namespace

const MethodInfo kLMoe = {
    "l-moe",
    "per token, a small gate averages N LoRA experts into one; experts and gate learn together",
    "arXiv 2510.17898 (withdrawn; it leaves sizes open, defaults are ours)",
    preset,
};

}  // namespace lmoe::spec
