#include "spec/methods/methods.h"

namespace lmoe::spec {
namespace {

// The chosen expert is not scaled by its probability, as in the re-implementation the card follows,
// so the balance loss alone trains the gate; `normalize: softmax` scales by it (gate_scaled).
MixtureSpec preset() {
  MixtureSpec spec;
  spec.method = "llava-mole";
  spec.target_modules = {"gate_proj", "up_proj", "down_proj"};
  spec.experts.count = 3;
  spec.experts.rank = 32;
  spec.experts.alpha = 16;
  spec.experts.dropout = 0.05;
  spec.gate.source = GateSource::kBlockInput;
  spec.gate.share = GateShare::kBlock;
  spec.select = {SelectKind::kTopK, 1};
  spec.normalize = Normalize::kConstant;
  spec.losses = {{BalanceLoss::kSwitch, 1e-2}};
  spec.plain.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj"};
  spec.plain.rank = 32;
  spec.plain.alpha = 16;
  spec.plain.dropout = 0.05;
  return spec;
}

}  // namespace

const MethodInfo kLlavaMole = {
    "llava-mole",
    "one of three LoRA experts per token and FFN, chosen hard; plain LoRA on attention",
    "arXiv 2401.16160 as re-implemented by others; router init and loss form are our choice",
    preset,
};

}  // namespace lmoe::spec
