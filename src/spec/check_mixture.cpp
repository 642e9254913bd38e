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
  std::set<int64_t> seen;
  for (const int64_t layer : spec.layers_to_transform) {
    LMOE_CHECK_ARG(layer >= 0, where, ": mixture.layers_to_transform: given ", layer,
                   ", expected layers counted from 0");
    LMOE_CHECK_ARG(seen.insert(layer).second, where, ": mixture.layers_to_transform: given ", layer,
                   " twice");
  }
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

void check_frozen(const MixtureSpec& spec, const std::string& where) {
  const std::vector<std::string> names = spec.expert_names();
  std::set<std::string> seen;
  for (const std::string& name : spec.experts.frozen) {
    LMOE_CHECK_ARG(std::find(names.begin(), names.end(), name) != names.end(), where,
                   ": mixture.experts.frozen: there is no expert \"", name, "\"");
    LMOE_CHECK_ARG(seen.insert(name).second, where, ": mixture.experts.frozen names \"", name,
                   "\" twice");
    LMOE_CHECK_ARG(spec.experts.kind == ExpertKind::kLora && !spec.experts.use_dora, where,
                   ": mixture.experts.frozen needs experts that are an A and a B of their own: "
                   "given kind ",
                   enum_name(spec.experts.kind), spec.experts.use_dora ? " with use_dora" : "",
                   ", expected lora");
  }
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
  LMOE_CHECK_ARG(gate.share != GateShare::kBlock || gate.source == GateSource::kBlockInput ||
                     gate.source == GateSource::kEmbedding,
                 where,
                 ": mixture.gate.share block needs one input for the whole block: given "
                 "gate.source ",
                 enum_name(gate.source),
                 ", expected block_input; hint: set mixture.gate.source to block_input");
  LMOE_CHECK_ARG(gate.net != GateNet::kLinear || gate.hidden_size == defaults.hidden_size, where,
                 ": mixture.gate.hidden_size cannot act: given ", gate.hidden_size,
                 " with net linear, expected net mlp or tree");
  LMOE_CHECK_ARG(gate.init == GateInit::kNormal || gate.init_range == defaults.init_range, where,
                 ": mixture.gate.init_range cannot act: given ", gate.init_range,
                 " with init kaiming_uniform, expected init normal");
  LMOE_CHECK_ARG(spec.has_gate() || !spec.select.inference_threshold, where,
                 ": mixture.select.inference_threshold cannot act with gate.source constant");
  LMOE_CHECK_ARG(spec.has_gate() || (gate.jitter == 0.0 && gate.noise == 0.0), where,
                 ": mixture.gate.jitter and noise cannot act with gate.source constant");
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
  LMOE_CHECK_ARG(spec.has_gate() || has_own_factors || experts.kind == ExpertKind::kKronecker,
                 where, ": mixture.experts.kind ", enum_name(experts.kind),
                 " is what a gate mixes: given gate.source constant, expected kind lora");
  LMOE_CHECK_ARG(
      !experts.use_dora || experts.kind == ExpertKind::kLora, where,
      ": mixture.experts.use_dora needs experts with an A and a B of their own: given kind ",
      enum_name(experts.kind), ", expected lora");
  LMOE_CHECK_ARG(!experts.use_dora || spec.apply == Apply::kDeltas, where,
                 ": mixture.experts.use_dora measures each expert's own B A: given apply factors, "
                 "expected deltas");
  LMOE_CHECK_ARG(experts.scale_by == ScaleBy::kRank || experts.scale_by == ScaleBy::kActiveRank ||
                     !experts.use_rslora,
                 where, ": mixture.experts.use_rslora divides by sqrt(rank): given scale_by ",
                 enum_name(experts.scale_by), ", expected rank or active_rank");
}

void check_kernels(const ExpertsSpec& experts, const std::string& where) {
  const std::vector<int64_t>& sizes = experts.kernel_sizes;
  if (experts.kind != ExpertKind::kKronecker) {
    LMOE_CHECK_ARG(sizes.empty(), where, ": mixture.experts.kernel_sizes cannot act: given kind ",
                   enum_name(experts.kind), ", expected kronecker");
    return;
  }
  LMOE_CHECK_ARG(static_cast<int64_t>(sizes.size()) == experts.count, where,
                 ": mixture.experts.kernel_sizes needs one size for each expert: given ",
                 sizes.size(), " sizes, expected ", experts.count);
  for (const int64_t size : sizes) {
    LMOE_CHECK_ARG(size >= 1 && size <= 1024, where, ": mixture.experts.kernel_sizes: given ", size,
                   ", expected 1 to 1024");
  }
}

void check_levels(const MixtureSpec& spec, const std::string& where) {
  const ExpertsSpec& experts = spec.experts;
  const bool is_residual = experts.kind == ExpertKind::kResidual;
  LMOE_CHECK_ARG(
      is_residual == (spec.gate.net == GateNet::kTree), where,
      ": mixture.gate.net tree and mixture.experts.kind residual need each other: given ",
      enum_name(spec.gate.net), " and ", enum_name(experts.kind));
  LMOE_CHECK_ARG(
      is_residual || (experts.levels == 1 && experts.activation == ExpertActivation::kIdentity),
      where, ": mixture.experts.levels and activation cannot act: given kind ",
      enum_name(experts.kind), ", expected residual");
  LMOE_CHECK_ARG(!is_residual || spec.has_gate(), where,
                 ": mixture.experts.kind residual needs a gate: given gate.source constant");
  int64_t leaves = 1;
  for (int64_t level = 0; level < experts.levels && is_residual; ++level)
    leaves = std::min<int64_t>(leaves * experts.count, int64_t{1} << 40);
  LMOE_CHECK_ARG(leaves <= 4096, where, ": mixture.experts: given ", experts.levels, " levels of ",
                 experts.count, " experts, expected at most 4096 paths from root to leaf");
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
  LMOE_CHECK_ARG(spec.bias.use == BiasUse::kNone || spec.select.kind == SelectKind::kTopK, where,
                 ": mixture.bias cannot act: given select.kind ", enum_name(spec.select.kind),
                 ", expected top_k");
  LMOE_CHECK_ARG(spec.bias.use != BiasUse::kScore || has_sigmoid, where,
                 ": mixture.bias.use score adds to sigmoids: given normalize ",
                 enum_name(spec.normalize), ", expected sigmoid or sum_to_k");
  LMOE_CHECK_ARG(spec.gate.source != GateSource::kRankActivation ||
                     spec.experts.kind == ExpertKind::kCore ||
                     spec.experts.kind == ExpertKind::kRankOne,
                 where,
                 ": mixture.gate.source rank_activation reads the one A x of all experts: given "
                 "experts.kind ",
                 enum_name(spec.experts.kind), ", expected core or rank_one");
}

void check_self_gate(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const GateSpec defaults;
  if (gate.net != GateNet::kSelf) {
    LMOE_CHECK_ARG(gate.activation == defaults.activation, where,
                   ": mixture.gate.activation cannot act: given ", enum_name(gate.activation),
                   " with net ", enum_name(gate.net), ", expected net self");
    LMOE_CHECK_ARG(spec.bias.use != BiasUse::kActivation, where,
                   ": mixture.bias.use activation adds to A x: given gate.net ",
                   enum_name(gate.net), ", expected self");
    return;
  }
  LMOE_CHECK_ARG(
      gate.source == GateSource::kTaskId ||
          (gate.source == GateSource::kRankActivation && spec.experts.kind == ExpertKind::kRankOne),
      where, ": mixture.gate.net self takes A x of each rank as its logit: given gate.source ",
      enum_name(gate.source), " and experts.kind ", enum_name(spec.experts.kind),
      ", expected rank_activation and rank_one");
  LMOE_CHECK_ARG(gate.init == defaults.init && gate.init_range == defaults.init_range, where,
                 ": mixture.gate.init and init_range cannot act with net self, which has no "
                 "weights");
}

void check_task_gate(const MixtureSpec& spec, const std::string& where) {
  const GateSpec& gate = spec.gate;
  const bool reads_task = gate.source == GateSource::kTaskId;
  LMOE_CHECK_ARG(reads_task || !gate.default_task, where,
                 ": mixture.gate.default_task cannot act: given gate.source ",
                 enum_name(gate.source), ", expected task_id");
  LMOE_CHECK_ARG(!reads_task || gate.default_task, where,
                 ": mixture.gate.default_task is missing: gate.source task_id needs to know which "
                 "task text without a label counts as, in chat and evaluation");
  LMOE_CHECK_ARG(!reads_task || *gate.default_task < spec.experts.count, where,
                 ": mixture.gate.default_task: given ", gate.default_task.value_or(0),
                 ", expected less than mixture.experts.count, ", spec.experts.count);
  LMOE_CHECK_ARG(!reads_task || spec.experts.count_by_layer.empty(), where,
                 ": mixture.gate.source task_id has one task per expert: given "
                 "experts.count_by_layer, expected none");
}

void check_schedule(const MixtureSpec& spec, const std::string& where) {
  const ScheduleSpec& schedule = spec.schedule;
  LMOE_CHECK_ARG(spec.has_gate() || schedule == ScheduleSpec(), where,
                 ": mixture.schedule cannot act: gate.source constant leaves nothing to decide");
  LMOE_CHECK_ARG(schedule.hard_until == 0.0 || spec.experts.count_by_layer.empty(), where,
                 ": mixture.schedule.hard_until has one task per expert: given "
                 "experts.count_by_layer, expected none");
  LMOE_CHECK_ARG(schedule.freeze_gates_from > schedule.hard_until, where,
                 ": mixture.schedule.freeze_gates_from: given ", schedule.freeze_gates_from,
                 ", expected more than hard_until, ", schedule.hard_until,
                 ", up to which the gates do not learn");
  LMOE_CHECK_ARG(schedule.freeze_gates_from == 1.0 || !schedule.freeze_experts, where,
                 ": mixture.schedule freezes both experts and gates: nothing would learn");
  const bool samples = spec.select.kind == SelectKind::kSample;
  LMOE_CHECK_ARG(!samples || (schedule.hard_until == 0.0 && schedule.freeze_gates_from == 1.0),
                 where,
                 ": mixture.schedule.hard_until and freeze_gates_from cannot act with select.kind "
                 "sample, whose "
                 "gates learn from what they draw in every step");
  // Routed by task, a reward head may be what learns; the recipe knows.
  const bool may_have_head = spec.gate.source == GateSource::kTaskId;
  LMOE_CHECK_ARG(!schedule.freeze_experts || spec.gate.net != GateNet::kSelf || may_have_head,
                 where,
                 ": mixture.schedule.freeze_experts leaves nothing to train: gate.net self has no "
                 "weights");
}

void check_frozen_a(const ExpertsSpec& experts, const std::string& where) {
  const bool has_common_a =
      experts.kind != ExpertKind::kKronecker && experts.kind != ExpertKind::kResidual;
  LMOE_CHECK_ARG(has_common_a || experts.train_a, where,
                 ": mixture.experts.train_a cannot act: given kind ", enum_name(experts.kind));
  LMOE_CHECK_ARG(!experts.a_density || !experts.train_a, where,
                 ": mixture.experts.a_density makes a sparse A, which training would fill: given "
                 "train_a true, expected false");
  LMOE_CHECK_ARG(!experts.a_density || *experts.a_density > 0.0, where,
                 ": mixture.experts.a_density: given 0, expected more than 0");
}

}  // namespace

void check_mixture(const MixtureSpec& spec, const std::string& where) {
  const std::string opening = "[mixture] " + where;
  check_targets(spec, opening);
  check_names(spec.experts, opening);
  check_frozen(spec, opening);
  check_selection(spec, opening);
  check_gate(spec, opening);
  check_gate_parts(spec, opening);
  check_nearest_gate(spec, opening);
  check_experts(spec, opening);
  check_kernels(spec.experts, opening);
  check_levels(spec, opening);
  check_count_by_layer(spec.experts, opening);
  check_scores(spec, opening);
  check_self_gate(spec, opening);
  check_task_gate(spec, opening);
  check_schedule(spec, opening);
  check_staged(spec, opening);
  check_frozen_a(spec.experts, opening);
  check_losses(spec, opening);
  check_model_gate(spec, opening);
  check_adapters(spec, opening);
  check_plain(spec, opening);
  check_prompts(spec, opening);
  check_ffn_block(spec, opening);
}

}  // namespace lmoe::spec
