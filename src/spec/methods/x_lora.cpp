#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// layerwise as the published model; PEFT's default is false.
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "x-lora";
  spec.target_modules = all_seven_projections();
  spec.experts.count = 4;
  spec.experts.rank = 16;
  spec.gate.source = GateSource::kLastHidden;
  spec.gate.share = GateShare::kModel;
  spec.gate.net = GateNet::kClassifier;
  spec.gate.hidden_size = 2048;
  spec.gate.init = GateInit::kKaimingUniform;
  spec.schedule.freeze_experts = true;
  return spec;
}

}  // namespace

const MethodInfo kXLora = {
    "x-lora",
    "finished LoRAs, weighed per token and projection by a classifier on a first pass of the base",
    "arXiv 2402.07148; depth 1 and width 2048 are the defaults of its code and of PEFT",
    preset,
};

}  // namespace lmoe::spec
