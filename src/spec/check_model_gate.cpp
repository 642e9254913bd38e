#include <algorithm>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

void check_classifier_keys(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const GateSpec defaults;
  const bool is_classifier = gate.net == GateNet::kClassifier;
  const bool has_depth = is_classifier || gate.net == GateNet::kCausal;
  LMOE_CHECK_ARG(has_depth || gate.depth == defaults.depth, where,
                 ": mixture.gate.depth cannot act: given net ", enum_name(gate.net),
                 ", expected classifier or causal");
  LMOE_CHECK_ARG(is_classifier || gate.dropout == 0.0, where,
                 ": mixture.gate.dropout cannot act: given net ", enum_name(gate.net),
                 ", expected classifier");
  LMOE_CHECK_ARG(gate.share == GateShare::kModel || gate.layerwise == defaults.layerwise, where,
                 ": mixture.gate.layerwise cannot act: given share ", enum_name(gate.share),
                 ", expected model");
  LMOE_CHECK_ARG(gate.source == GateSource::kLastHidden || gate.first_pass_weight == 0.0, where,
                 ": mixture.gate.first_pass_weight cannot act: given source ",
                 enum_name(gate.source), ", expected last_hidden");
  LMOE_CHECK_ARG(!is_classifier || gate.dropout == 0.0 || gate.depth > 1, where,
                 ": mixture.gate.dropout cannot act: given depth 1, and it lies between layers");
}

/// It reads documents, not tokens, and before any layer.
void check_causal(const GateSpec& gate, const std::string& where) {
  LMOE_CHECK_ARG(gate.source == GateSource::kEmbedding && gate.share == GateShare::kModel, where,
                 ": mixture.gate.net causal is one net for the whole model over what tokens enter "
                 "it as: given source ",
                 enum_name(gate.source), " and share ", enum_name(gate.share),
                 ", expected embedding and model");
  LMOE_CHECK_ARG(gate.hidden_size % (2 * gate.heads) == 0, where,
                 ": mixture.gate.hidden_size: given ", gate.hidden_size, " with ", gate.heads,
                 " heads of net causal, expected a multiple of ", 2 * gate.heads,
                 ": heads turn pairs of numbers by their position");
}

void check_embedding_gate(const GateSpec& gate, const std::string& where) {
  const bool is_model = gate.share == GateShare::kModel;
  LMOE_CHECK_ARG(gate.net != GateNet::kClassifier || is_model, where,
                 ": mixture.gate.net classifier is one net for the whole model: given share ",
                 enum_name(gate.share), ", expected model");
  LMOE_CHECK_ARG(gate.net != GateNet::kTree || !is_model, where,
                 ": mixture.gate.net tree chooses at each site: given share model, expected "
                 "projection or block");
}

}  // namespace

void check_model_gate(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const bool reads_end = gate.source == GateSource::kLastHidden;
  const bool is_model = gate.share == GateShare::kModel;
  const bool is_classifier = gate.net == GateNet::kClassifier;
  if (gate.net == GateNet::kCausal) check_causal(gate, where);
  if (gate.source == GateSource::kEmbedding) check_embedding_gate(gate, where);
  LMOE_CHECK_ARG(
      gate.source == GateSource::kEmbedding ||
          (reads_end == is_model && (reads_end == is_classifier || gate.net == GateNet::kNearest)),
      where,
      ": mixture.gate: source last_hidden, share model and net classifier go together: given ",
      enum_name(gate.source), ", ", enum_name(gate.share), " and ", enum_name(gate.net));
  LMOE_CHECK_ARG((gate.source == GateSource::kLearned) == (gate.net == GateNet::kScalars), where,
                 ": mixture.gate: source learned and net scalars go together: given ",
                 enum_name(gate.source), " and ", enum_name(gate.net));
  check_classifier_keys(spec, where);
  LMOE_CHECK_ARG(!is_model || spec.experts.count_by_layer.empty(), where,
                 ": mixture.gate.share model decides for the same experts everywhere: given "
                 "experts.count_by_layer, expected none");
  LMOE_CHECK_ARG(!reads_end || !spec.experts.use_dora, where,
                 ": mixture.experts.use_dora cannot act: given gate.source last_hidden");
}

void check_adapters(const MixtureSpec& spec, const std::string& where) {
  const std::vector<std::string>& adapters = spec.experts.adapters;
  if (adapters.empty()) return;
  LMOE_CHECK_ARG(std::ssize(adapters) == spec.experts.count, where,
                 ": mixture.experts.adapters: given ", adapters.size(),
                 " folders, expected one for each expert, ", spec.experts.count);
  LMOE_CHECK_ARG(spec.experts.kind == ExpertKind::kLora && spec.experts.count_by_layer.empty(),
                 where,
                 ": mixture.experts.adapters are LoRAs, the same for all layers: given kind ",
                 enum_name(spec.experts.kind));
  for (const std::string& path : adapters)
    LMOE_CHECK_ARG(!path.empty(), where, ": mixture.experts.adapters has an empty entry");
  const auto is_base = [](const std::string& path) { return path == kBaseAdapter; };
  LMOE_CHECK_ARG(!std::all_of(adapters.begin(), adapters.end(), is_base), where,
                 ": mixture.experts.adapters: given base alone, expected at least one folder");
  LMOE_CHECK_ARG(
      !spec.experts.use_dora || std::none_of(adapters.begin(), adapters.end(), is_base), where,
      ": mixture.experts.adapters: base cannot stay as it is with use_dora, which trains lengths");
}

}  // namespace lmoe::spec
