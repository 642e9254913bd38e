#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "lora-mixer";
  spec.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj"};
  spec.experts.count = 6;
  spec.select = {.kind = SelectKind::kTopK, .k = 3, .inference_only = true};
  spec.normalize = Normalize::kRenormalize;
  // Above 0 sharpens, which is what the paper says; its formula has the other sign.
  spec.losses = {{BalanceLoss::kTopKShare, 1e-2},
                 {BalanceLoss::kEntropy, 1e-3, LossOver::kGatesMean, {.normalized = false}}};
  spec.schedule = {.hard_until = 0.5, .freeze_experts = true};
  return spec;
}

}  // namespace

const MethodInfo kLoraMixer = {
    "lora-mixer",
    "each task trains its own expert first, then the gates learn to mix them; 3 of 6 in use",
    "arXiv 2507.00029; ranks, coefficients (topk_share has a factor N the paper has not) and the "
    "length of the hard stage are ours",
    preset,
};

}  // namespace lmoe::spec
