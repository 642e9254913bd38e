#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "remix";
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.alpha = 2;
  spec.experts.scale_by = ScaleBy::kActiveRank;
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.share = GateShare::kBlock;
  spec.select = {SelectKind::kSample, 4};
  spec.normalize = Normalize::kConstant;
  return spec;
}

}  // namespace

const MethodInfo kRemix = {
    "remix",
    "4 of 8 experts with equal weights, drawn per token; the router learns which by the losses of "
    "several draws",
    "arXiv 2603.10160: weight 2 / (k rank), leave-one-out gradient; 2 draws and the token as "
    "granularity are ours",
    preset,
};

}  // namespace lmoe::spec
