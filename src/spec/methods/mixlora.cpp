#include "spec/methods/methods.h"

namespace lmoe::spec {

MixtureSpec mixlora_parts() {
  MixtureSpec spec;
  spec.method = "mixlora";
  spec.attach = Attach::kFfnBlock;
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.count = 8;
  spec.experts.rank = 16;
  spec.experts.alpha = 32;
  spec.experts.dropout = 0.05;
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.share = GateShare::kBlock;
  spec.select = {SelectKind::kTopK, 2};
  spec.normalize = Normalize::kRenormalize;
  spec.apply = Apply::kOutputs;
  spec.losses = {{BalanceLoss::kTopKSwitch, 1e-3, LossOver::kPooled}};
  spec.plain.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj"};
  spec.plain.rank = 16;
  spec.plain.alpha = 32;
  spec.plain.dropout = 0.05;
  return spec;
}

const MethodInfo kMixLora = {
    "mixlora",
    "top-2 of 8 FFNs that share the frozen weights and differ by LoRAs; plain LoRA on attention",
    "arXiv 2404.15159; the coefficient of the loss is that of its code and of its best ablation",
    mixlora_parts,
};

}  // namespace lmoe::spec
