#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "k-shot";
  spec.target_modules = {"q_proj", "v_proj"};
  spec.experts.count = 4;
  spec.experts.rank = 16;
  spec.select.kind = SelectKind::kTopK;
  spec.select.k = 2;
  spec.normalize = Normalize::kSoftmaxSelected;
  return spec;
}

}  // namespace

const MethodInfo kKShot = {
    "k-shot",
    "a few finished LoRAs chosen for a task, top-2 per token, trained further with their gates",
    "arXiv 2408.15915; `lmoe select` chooses the LoRAs and the data",
    preset,
};

}  // namespace lmoe::spec
