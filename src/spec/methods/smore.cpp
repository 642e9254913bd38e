#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "smore";
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.kind = ExpertKind::kResidual;
  spec.experts.count = 4;
  spec.experts.levels = 2;
  spec.experts.activation = ExpertActivation::kTanh;
  spec.experts.alpha = 1;
  spec.experts.scale_by = ScaleBy::kNone;
  spec.gate.net = GateNet::kTree;
  spec.gate.hidden_size = 32;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.select = {SelectKind::kTopK, 2};
  spec.normalize = Normalize::kRenormalize;
  return spec;
}

}  // namespace

const MethodInfo kSmore = {
    "smore",
    "small residual experts in two levels; per token a router walks a tree, top-2 at each node",
    "arXiv 2504.06426: levels 4-4, fan-out 2-2, zero projection on top; its switch gate without "
    "biases in the experts",
    preset,
};

}  // namespace lmoe::spec
