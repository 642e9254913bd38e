#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "flylora";
  spec.target_modules = all_seven_projections();
  spec.experts.kind = ExpertKind::kRankOne;
  spec.experts.count = 32;
  spec.experts.rank = 1;
  spec.experts.alpha = 64;
  spec.experts.scale_by = ScaleBy::kCount;
  spec.experts.train_a = false;
  spec.experts.a_density = 0.25;
  spec.gate.source = GateSource::kRankActivation;
  spec.gate.net = GateNet::kSelf;
  spec.gate.activation = GateActivation::kAbs;
  spec.select = {SelectKind::kTopK, 8};
  spec.normalize = Normalize::kConstant;
  spec.bias = {BiasUse::kActivation, 1e-3};
  return spec;
}

}  // namespace

const MethodInfo kFlyLora = {
    "flylora",
    "a fixed sparse random A is the router: the 8 largest of 32 projections take part; B is "
    "trained",
    "arXiv 2510.08396 and its code; bias.use selection is the variant whose update does balance",
    preset,
};

}  // namespace lmoe::spec
