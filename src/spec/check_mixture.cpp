#include <algorithm>
#include <cctype>
#include <set>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

constexpr size_t kMaxNameLength = 64;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool can_be_folder(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNameLength && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

void check_targets(const MixtureSpec& spec, const std::string& where) {
  LMOE_CHECK_ARG(!spec.target_modules.empty(), where,
                 ": mixture.target_modules is empty; hint: [q_proj, k_proj, v_proj, o_proj, "
                 "gate_proj, up_proj, down_proj], or leave the key out");
  check_target_list(spec.target_modules, where + ": mixture.target_modules");
}

void check_names(const ExpertsSpec& experts, const std::string& where) {
  if (experts.names.empty()) return;
  LMOE_CHECK_ARG(static_cast<int64_t>(experts.names.size()) == experts.count, where,
                 ": mixture.experts.names has another length than mixture.experts.count: given ",
                 experts.names.size(), " names, expected ", experts.count);
  std::set<std::string> seen;
  for (const std::string& name : experts.names) {
    LMOE_CHECK_ARG(can_be_folder(name), where, ": mixture.experts.names: given \"", name,
                   "\", expected 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'; "
                   "each expert becomes a folder");
    LMOE_CHECK_ARG(seen.insert(lower_case(name)).second, where, ": mixture.experts.names: given \"",
                   name, "\" twice (upper and lower case count as the same)");
  }
}

void check_selection(const MixtureSpec& spec, const std::string& where) {
  const SelectSpec& select = spec.select;
  if (select.kind == SelectKind::kAll) {
    LMOE_CHECK_ARG(!select.k, where, ": mixture.select.k cannot act: given k ",
                   select.k.value_or(0),
                   " with kind all, expected kind top_k; hint: set mixture.select.kind to top_k");
    return;
  }
  LMOE_CHECK_ARG(select.k, where, ": mixture.select.kind top_k needs mixture.select.k");
  const std::vector<int64_t>& by_layer = spec.experts.count_by_layer;
  const int64_t fewest =
      by_layer.empty() ? spec.experts.count : *std::min_element(by_layer.begin(), by_layer.end());
  LMOE_CHECK_ARG(
      *select.k <= fewest, where, ": mixture.select.k: given ", *select.k, ", expected at most ",
      by_layer.empty() ? "mixture.experts.count" : "the least of count_by_layer", ", ", fewest);
}

void check_constant_gate(const MixtureSpec& spec, const std::string& where) {
  LMOE_CHECK_ARG(spec.experts.count == 1, where,
                 ": mixture.gate.source constant gives every expert the same fixed weight: given ",
                 spec.experts.count, " experts, expected 1; hint: use source input or block_input");
  LMOE_CHECK_ARG(spec.select.kind == SelectKind::kAll, where,
                 ": mixture.select.kind top_k cannot act with mixture.gate.source constant");
  LMOE_CHECK_ARG(spec.normalize == Normalize::kConstant, where, ": mixture.normalize: given ",
                 enum_name(spec.normalize),
                 ", expected constant, because mixture.gate.source is constant");
  LMOE_CHECK_ARG(spec.losses.empty(), where,
                 ": mixture.losses cannot act: mixture.gate.source is constant, so there is no "
                 "router to balance; hint: losses: []");
}

void check_gate(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const GateSpec defaults;
  if (!spec.has_gate()) check_constant_gate(spec, where);
  LMOE_CHECK_ARG(!spec.has_gate() || spec.normalize != Normalize::kConstant ||
                     spec.select.kind != SelectKind::kAll,
                 where, ": mixture.normalize constant ignores the gate: given gate.source ",
                 enum_name(gate.source),
                 " and select.kind all, expected softmax, softmax_selected or renormalize");
  LMOE_CHECK_ARG(gate.share != GateShare::kBlock || gate.source == GateSource::kBlockInput, where,
                 ": mixture.gate.share block needs one input for the whole block: given "
                 "gate.source ",
                 enum_name(gate.source),
                 ", expected block_input; hint: set mixture.gate.source to block_input");
  LMOE_CHECK_ARG(gate.net == GateNet::kMlp || gate.hidden_size == defaults.hidden_size, where,
                 ": mixture.gate.hidden_size cannot act: given ", gate.hidden_size,
                 " with net linear, expected net mlp");
  LMOE_CHECK_ARG(gate.init == GateInit::kNormal || gate.init_range == defaults.init_range, where,
                 ": mixture.gate.init_range cannot act: given ", gate.init_range,
                 " with init kaiming_uniform, expected init normal");
  LMOE_CHECK_ARG(spec.has_gate() || gate.jitter == 0.0, where,
                 ": mixture.gate.jitter cannot act with gate.source constant");
  LMOE_CHECK_ARG(spec.has_gate() || gate.temperature == defaults.temperature, where,
                 ": mixture.gate.temperature cannot act: given ", gate.temperature,
                 " with gate.source constant");
}

void check_experts(const MixtureSpec& spec, const std::string& where) {
  const ExpertsSpec& experts = spec.experts;
  LMOE_CHECK_ARG(experts.kind != ExpertKind::kRankOne || experts.rank == 1, where,
                 ": mixture.experts.rank: given ", experts.rank,
                 " with kind rank_one, expected 1; hint: experts.count is the number of ranks");
  LMOE_CHECK_ARG(experts.kind != ExpertKind::kRankOne || experts.names.empty(), where,
                 ": mixture.experts.names cannot act with kind rank_one, whose experts are the "
                 "ranks of one adapter");
  const bool has_own_factors =
      experts.kind == ExpertKind::kLora || experts.kind == ExpertKind::kRankOne;
  LMOE_CHECK_ARG(spec.apply != Apply::kFactors || has_own_factors, where,
                 ": mixture.apply factors averages A and B of the experts: given experts.kind ",
                 enum_name(experts.kind), ", expected lora or rank_one");
  LMOE_CHECK_ARG(experts.scale_by == ScaleBy::kRank || !experts.use_rslora, where,
                 ": mixture.experts.use_rslora divides by sqrt(rank): given scale_by ",
                 enum_name(experts.scale_by), ", expected rank");
}

void check_count_by_layer(const ExpertsSpec& experts, const std::string& where) {
  const std::vector<int64_t>& counts = experts.count_by_layer;
  if (counts.empty()) return;
  const bool has_own_folders =
      experts.kind == ExpertKind::kLora || experts.kind == ExpertKind::kSharedA;
  LMOE_CHECK_ARG(has_own_folders, where,
                 ": mixture.experts.count_by_layer needs experts that are adapters of their own: ",
                 "given kind ", enum_name(experts.kind), ", expected lora or shared_a");
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  LMOE_CHECK_ARG(*least >= 1, where, ": mixture.experts.count_by_layer: given ", *least,
                 ", expected at least 1 expert per site");
  LMOE_CHECK_ARG(*most == experts.count, where, ": mixture.experts.count_by_layer: given at most ",
                 *most, ", expected its largest entry to be mixture.experts.count, ",
                 experts.count);
}

void check_scores(const MixtureSpec& spec, const std::string& where) {
  const bool has_sigmoid =
      spec.normalize == Normalize::kSigmoid || spec.normalize == Normalize::kSumToK;
  LMOE_CHECK_ARG(!has_sigmoid || spec.losses.empty(), where,
                 ": mixture.losses measure probabilities that sum to 1: given normalize ",
                 enum_name(spec.normalize), "; hint: losses: [] and bias.use selection or score");
  LMOE_CHECK_ARG(spec.bias.use == BiasUse::kNone || spec.select.kind != SelectKind::kAll, where,
                 ": mixture.bias cannot act: given select.kind all, expected top_k");
  LMOE_CHECK_ARG(spec.bias.use != BiasUse::kScore || has_sigmoid, where,
                 ": mixture.bias.use score adds to sigmoids: given normalize ",
                 enum_name(spec.normalize), ", expected sigmoid or sum_to_k");
  LMOE_CHECK_ARG(
      spec.gate.source != GateSource::kRankActivation || spec.experts.kind == ExpertKind::kCore,
      where, ": mixture.gate.source rank_activation reads the one A x of all experts: given ",
      "experts.kind ", enum_name(spec.experts.kind), ", expected core");
}

void check_losses(const MixtureSpec& spec, const std::string& where) {
  std::set<BalanceLoss> seen;
  for (const LossSpec& loss : spec.losses) {
    LMOE_CHECK_ARG(seen.insert(loss.kind).second, where, ": mixture.losses names ",
                   enum_name(loss.kind), " twice");
  }
}

}  // namespace

void check_mixture(const MixtureSpec& spec, const std::string& where) {
  const std::string opening = "[mixture] " + where;
  check_targets(spec, opening);
  check_names(spec.experts, opening);
  check_selection(spec, opening);
  check_gate(spec, opening);
  check_experts(spec, opening);
  check_count_by_layer(spec.experts, opening);
  check_scores(spec, opening);
  check_losses(spec, opening);
  check_plain(spec, opening);
  check_ffn_block(spec, opening);
}

}  // namespace lmoe::spec
