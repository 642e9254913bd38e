#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "dmoerm";
  spec.target_modules = {"q_proj", "v_proj"};
  spec.experts.count = 10;
  spec.experts.rank = 32;
  spec.experts.alpha = 32;
  spec.experts.dropout = 0.05;
  spec.gate.source = GateSource::kTaskId;
  spec.gate.net = GateNet::kSelf;
  spec.gate.default_task = 0;
  spec.select = {SelectKind::kTopK, 1};
  spec.normalize = Normalize::kConstant;
  return spec;
}

}  // namespace

const MethodInfo kDmoerm = {
    "dmoerm",
    "a reward model: a document's task has experts of its own, each with a pass through the model; "
    "an aggregator joins what they end with",
    "arXiv 2403.01197 and its code, on one frozen base; the task label stands for the outer "
    "router, "
    "which recipes/dmoerm-router.yaml learns; two capabilities for each of the five categories are "
    "ours",
    preset,
    true,
};

}  // namespace lmoe::spec
