#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "ept";
  spec.target_modules = all_seven_projections();
  spec.experts.kind = ExpertKind::kKronecker;
  spec.experts.kernel_sizes = {2, 2, 4, 4, 6, 6, 8, 8};
  spec.experts.alpha = 1;
  spec.experts.scale_by = ScaleBy::kNone;
  spec.gate.temperature = 0.05;
  spec.select = {SelectKind::kTopK, 2};
  return spec;
}

}  // namespace

const MethodInfo kEpt = {
    "ept",
    "one small pair of factors blown up by kernels of several sizes, top-2 per token; without the "
    "contrastive task loss",
    "arXiv 2603.12577; rank, k and first values are ours, alpha is its d_t / tasks",
    preset,
};

}  // namespace lmoe::spec
