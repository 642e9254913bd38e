#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

/// It gives probabilities, and its parts have nothing to learn.
void check_what_it_joins(const MixtureSpec& spec, const std::string& opening) {
  const GateSource source = spec.gate.source;
  LMOE_CHECK_ARG(source == GateSource::kInput || source == GateSource::kBlockInput ||
                     source == GateSource::kEmbedding || source == GateSource::kLastHidden,
                 opening, "compares what it reads with references: given gate.source ",
                 enum_name(source), ", expected input, block_input, embedding or last_hidden");
  const bool fits =
      spec.normalize == Normalize::kSoftmax || spec.normalize == Normalize::kSoftmaxSelected ||
      spec.normalize == Normalize::kSoftmaxTwice || spec.normalize == Normalize::kRenormalize ||
      spec.normalize == Normalize::kConstant;
  LMOE_CHECK_ARG(fits, opening, "gives probabilities, not logits: given normalize ",
                 enum_name(spec.normalize), ", expected softmax, softmax_selected or renormalize");
  LMOE_CHECK_ARG(spec.losses.empty(), opening,
                 "has nothing that losses could train: given mixture.losses, expected []");
  LMOE_CHECK_ARG(spec.select.kind != SelectKind::kSample, opening,
                 "has nothing to learn from draws: given select.kind sample, expected top_k");
  LMOE_CHECK_ARG(spec.select.private_experts == 0, opening,
                 "may have no reference of a group's own experts near a token: given "
                 "select.private_experts ",
                 spec.select.private_experts, ", expected 0");
  LMOE_CHECK_ARG(!spec.select.inference_threshold, opening,
                 "gives probabilities, not logits: select.inference_threshold cannot act; hint: "
                 "select.kind threshold");
  LMOE_CHECK_ARG(spec.schedule.freeze_gates_from == 1.0 && !spec.schedule.freeze_experts, opening,
                 "has no weights: schedule.freeze_gates_from cannot act, and freeze_experts leaves "
                 "nothing to train");
}

void check_what_cannot_act(const GateSpec& gate, const std::string& opening) {
  const GateSpec defaults;
  LMOE_CHECK_ARG(gate.pool == GatePool::kNone, opening,
                 "gives probabilities for each token: mixture.gate.pool averages logits, and "
                 "cannot act");
  LMOE_CHECK_ARG(gate.jitter == 0.0 && gate.noise == 0.0 && gate.input_dropout == 0.0 &&
                     gate.uncertainty_passes == 1,
                 opening,
                 "learns nothing: mixture.gate.jitter, noise, input_dropout and "
                 "uncertainty_passes cannot act");
  LMOE_CHECK_ARG(gate.hidden_size == defaults.hidden_size && gate.init == defaults.init &&
                     gate.init_range == defaults.init_range && !gate.init_bias,
                 opening,
                 "has no weights: mixture.gate.hidden_size, init, init_range and init_bias cannot "
                 "act");
}

}  // namespace

void check_nearest_gate(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const GateSpec defaults;
  if (gate.net != GateNet::kNearest) {
    LMOE_CHECK_ARG(gate.references == defaults.references && gate.neighbours == defaults.neighbours,
                   where, ": mixture.gate.references and neighbours cannot act: given net ",
                   enum_name(gate.net), ", expected nearest");
    LMOE_CHECK_ARG(gate.heads == defaults.heads || gate.net == GateNet::kCausal, where,
                   ": mixture.gate.heads cannot act: given net ", enum_name(gate.net),
                   ", expected nearest or causal");
    return;
  }
  const std::string opening = where + ": mixture.gate.net nearest ";
  check_what_it_joins(spec, opening);
  check_what_cannot_act(gate, opening);
  LMOE_CHECK_ARG(gate.references > 0, opening,
                 "has an empty memory: given gate.references 0; hint: `lmoe experts RUN refit "
                 "--net nearest` collects references of a trained run");
  LMOE_CHECK_ARG(gate.neighbours <= gate.references, opening, "asks gate.neighbours ",
                 gate.neighbours, " references, expected at most gate.references, ",
                 gate.references);
}

}  // namespace lmoe::spec
