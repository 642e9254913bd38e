#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "moram";
  spec.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj"};
  spec.experts.kind = ExpertKind::kRankOne;
  spec.experts.count = 8;
  spec.experts.rank = 1;
  // alpha / r = 16 / 8 of the code, which must not change when ranks are added.
  spec.experts.alpha = 2;
  spec.experts.scale_by = ScaleBy::kNone;
  spec.experts.dropout = 0.1;
  spec.gate.source = GateSource::kRankActivation;
  spec.gate.net = GateNet::kSelf;
  spec.gate.activation = GateActivation::kUnitNorm;
  spec.gate.temperature = 0.03;
  spec.select = {.kind = SelectKind::kTopK, .k = 8, .inference_threshold = 0.2};
  spec.normalize = Normalize::kSoftmaxSelected;
  return spec;
}

}  // namespace

const MethodInfo kMoram = {
    "moram",
    "each rank weighs itself by its own normalised activation; no router",
    "arXiv 2506.21035 and its code for language models",
    preset,
};

}  // namespace lmoe::spec
