#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "loramoe";
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.count = 6;
  spec.experts.rank = 4;
  spec.experts.alpha = 32;
  spec.experts.dropout = 0.05;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.losses = {{BalanceLoss::kLocalized, 0.1, LossOver::kGatesSum}};
  return spec;
}

}  // namespace

const MethodInfo kLoraMoe = {
    "loramoe",
    "dense experts in the FFN; a loss gives each task its own part of them",
    "arXiv 2312.09979 and its code, whose script leaves the loss off",
    preset,
};

}  // namespace lmoe::spec
