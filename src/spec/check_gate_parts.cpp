#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

void check_constant_gate(const GateSpec& gate, const std::string& where) {
  const bool acts = gate.pool != GatePool::kNone || gate.init_bias || gate.input_dropout > 0.0 ||
                    gate.uncertainty_passes > 1;
  LMOE_CHECK_ARG(!acts, where,
                 ": mixture.gate.pool, init_bias, input_dropout and uncertainty_passes cannot act "
                 "with gate.source constant");
}

void check_recurrent(const GateSpec& gate, const std::string& where) {
  LMOE_CHECK_ARG(gate.uncertainty_passes == 1, where,
                 ": mixture.gate.uncertainty_passes runs each gate several times, and a recurrent "
                 "one hands on what a single run ended with: given ",
                 gate.uncertainty_passes, " passes with net recurrent, expected 1");
}

void check_pool(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  if (gate.pool == GatePool::kNone) return;
  LMOE_CHECK_ARG(gate.source != GateSource::kLearned, where,
                 ": mixture.gate.pool cannot act: given source learned, whose weights are the same "
                 "for all tokens");
  LMOE_CHECK_ARG(spec.select.kind != SelectKind::kSample, where,
                 ": mixture.gate.pool prompt has one choice for all tokens of a document: given "
                 "select.kind sample, which draws for each token");
}

void check_bias(const GateSpec& gate, const std::string& where) {
  LMOE_CHECK_ARG(!gate.init_bias || gate.net != GateNet::kSelf, where,
                 ": mixture.gate.init_bias cannot act: given net self, which has nothing to train");
  LMOE_CHECK_ARG(!gate.init_bias || (gate.net != GateNet::kScalars && gate.net != GateNet::kTree &&
                                     gate.net != GateNet::kClassifier),
                 where, ": mixture.gate.init_bias cannot act: given net ", enum_name(gate.net),
                 ", which has biases of its own");
}

}  // namespace

void check_gate_parts(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  if (!spec.has_gate()) check_constant_gate(gate, where);
  if (gate.net == GateNet::kRecurrent) check_recurrent(gate, where);
  check_pool(spec, where);
  check_bias(gate, where);
  LMOE_CHECK_ARG(
      gate.net != GateNet::kCosine || gate.init != GateInit::kNormal || gate.init_range > 0.0,
      where,
      ": mixture.gate.init_range: keys of zeros have no direction: given 0 with "
      "net cosine, expected more");
  LMOE_CHECK_ARG(gate.uncertainty_passes == 1 || gate.input_dropout > 0.0, where,
                 ": mixture.gate.uncertainty_passes cannot act: given ", gate.uncertainty_passes,
                 " with input_dropout 0, under which all passes are the same");
  LMOE_CHECK_ARG(gate.source != GateSource::kLearned || gate.input_dropout == 0.0, where,
                 ": mixture.gate.input_dropout cannot act: given source learned, which reads "
                 "nothing");
  LMOE_CHECK_ARG(gate.net != GateNet::kCosine || gate.hidden_size == GateSpec().hidden_size, where,
                 ": mixture.gate.hidden_size cannot act: given ", gate.hidden_size,
                 " with net cosine");
}

}  // namespace lmoe::spec
