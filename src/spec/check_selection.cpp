#include <algorithm>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

/// Which keys a kind of selection reads, besides k, which is everybody's but all's.
struct Reads {
  bool top_p = false, threshold = false, entropy = false;
};

Reads reads(SelectKind kind) {
  switch (kind) {
    case SelectKind::kAll:
    case SelectKind::kTopK:
    case SelectKind::kSample:
      return {};
    case SelectKind::kTopP:
      return {.top_p = true};
    case SelectKind::kThreshold:
      return {.threshold = true};
    case SelectKind::kEntropySwitch:
      return {.top_p = true, .threshold = true, .entropy = true};
  }
  return {};
}

void check_key(bool is_given, bool is_read, const SelectSpec& select, const std::string& key) {
  LMOE_CHECK_ARG(is_given || !is_read, key, " is missing: mixture.select.kind ",
                 enum_name(select.kind), " needs it");
  LMOE_CHECK_ARG(is_read || !is_given, key, " cannot act with mixture.select.kind ",
                 enum_name(select.kind));
}

void check_k(const MixtureSpec& spec, const std::string& where) {
  const SelectSpec& select = spec.select;
  if (select.kind == SelectKind::kAll) {
    LMOE_CHECK_ARG(!select.k, where, ": mixture.select.k cannot act: given k ",
                   select.k.value_or(0),
                   " with kind all, expected kind top_k; hint: set mixture.select.kind to top_k");
    return;
  }
  LMOE_CHECK_ARG(select.k || !select.takes_k(), where, ": mixture.select.kind ",
                 enum_name(select.kind), " needs mixture.select.k");
  if (!select.k) return;
  const std::vector<int64_t>& by_layer = spec.experts.count_by_layer;
  const int64_t fewest =
      by_layer.empty() ? spec.experts.count : *std::min_element(by_layer.begin(), by_layer.end());
  LMOE_CHECK_ARG(
      *select.k <= fewest, where, ": mixture.select.k: given ", *select.k, ", expected at most ",
      by_layer.empty() ? "mixture.experts.count" : "the least of count_by_layer", ", ", fewest);
}

/// Weights that are divided by their sum need somebody to sum over.
void check_never_empty(const MixtureSpec& spec, const std::string& where) {
  const SelectSpec& select = spec.select;
  const bool may_be_empty =
      !select.k && (select.kind == SelectKind::kThreshold || !select.include_crossing);
  const bool divides = spec.normalize == Normalize::kRenormalize ||
                       spec.normalize == Normalize::kSoftmaxSelected ||
                       spec.normalize == Normalize::kSumToK;
  LMOE_CHECK_ARG(!may_be_empty || !divides, where, ": mixture.normalize ",
                 enum_name(spec.normalize), " divides by a sum that is 0 where select.kind ",
                 enum_name(select.kind),
                 " leaves nobody; hint: mixture.select.k, the least number of experts");
}

void check_sampling(const MixtureSpec& spec, const std::string& where) {
  const bool samples = spec.select.kind == SelectKind::kSample;
  LMOE_CHECK_ARG(samples || spec.select.rollouts == SelectSpec{}.rollouts, where,
                 ": mixture.select.rollouts cannot act: given kind ", enum_name(spec.select.kind),
                 ", expected sample");
  LMOE_CHECK_ARG(
      !samples || spec.normalize == Normalize::kConstant, where,
      ": mixture.select.kind sample learns from which experts were drawn, not from their "
      "weights: given normalize ",
      enum_name(spec.normalize), ", expected constant");
  LMOE_CHECK_ARG(!samples || spec.bias.use == BiasUse::kNone, where,
                 ": mixture.bias cannot act with select.kind sample");
}

const char* groups_name(PrivateBy by) {
  switch (by) {
    case PrivateBy::kTask:
      return " tasks";
    case PrivateBy::kRole:
      return " roles";
    case PrivateBy::kPassage:
      return " passages";
  }
  return "";
}

/// With so many groups as are known by now.
void check_private(const MixtureSpec& spec, const std::string& where) {
  const SelectSpec& select = spec.select;
  LMOE_CHECK_ARG(select.private_experts > 0 || !select.groups, where,
                 ": mixture.select.groups cannot act: given private_experts 0");
  LMOE_CHECK_ARG(select.private_experts > 0 || select.private_by == PrivateBy::kTask, where,
                 ": mixture.select.private_by cannot act: given private_experts 0");
  LMOE_CHECK_ARG(select.private_by != PrivateBy::kRole || !select.groups, where,
                 ": mixture.select.groups cannot act: given private_by role, whose groups are two, "
                 "prompts and answers");
  if (select.private_experts == 0) return;
  LMOE_CHECK_ARG(
      spec.has_gate() && spec.experts.count_by_layer.empty(), where,
      ": mixture.select.private_experts needs a gate and the same experts in all layers");
  LMOE_CHECK_ARG(select.private_by != PrivateBy::kPassage || select.groups, where,
                 ": mixture.select.groups is missing: private_by passage needs to know how many "
                 "passages have experts of their own");
  const int64_t shared = spec.experts.count - spec.private_total();
  if (shared == 0 && select.private_by == PrivateBy::kPassage) {
    LMOE_CHECK_ARG(spec.attach == Attach::kProjection, where,
                   ": mixture.select.private_by passage leaves tokens of no passage without "
                   "experts: given attach ",
                   enum_name(spec.attach), ", expected projection, or more experts");
    LMOE_CHECK_ARG(select.k.value_or(1) <= select.private_experts, where,
                   ": mixture.select.k: given ", select.k.value_or(1), ", expected at most ",
                   select.private_experts, ", the private_experts of a passage");
    for (const LossSpec& loss : spec.losses)
      LMOE_CHECK_ARG(loss.per_group, where, ": mixture.losses, ", enum_name(loss.kind),
                     ": would count tokens of no passage, which have no expert: expected "
                     "per_group: true; hint: losses: []");
    return;
  }
  LMOE_CHECK_ARG(shared >= select.k.value_or(1), where, ": mixture.select.private_experts: given ",
                 select.private_experts, " for each of ", select.private_groups(),
                 groups_name(select.private_by), ", which leaves ", shared, " of ",
                 spec.experts.count, " experts for all: expected at least ", select.k.value_or(1),
                 "; hint: experts.count");
}

}  // namespace

void check_selection(const MixtureSpec& spec, const std::string& where) {
  const SelectSpec& select = spec.select;
  const SelectSpec defaults;
  const Reads read = reads(select.kind);
  check_k(spec, where);
  check_key(select.top_p.has_value(), read.top_p, select, where + ": mixture.select.top_p");
  check_key(select.threshold.has_value(), read.threshold, select,
            where + ": mixture.select.threshold");
  LMOE_CHECK_ARG(read.top_p || select.include_crossing == defaults.include_crossing, where,
                 ": mixture.select.include_crossing cannot act with mixture.select.kind ",
                 enum_name(select.kind));
  LMOE_CHECK_ARG(!select.inference_only || select.kind != SelectKind::kAll, where,
                 ": mixture.select.inference_only cannot act with mixture.select.kind all");
  LMOE_CHECK_ARG(!select.inference_only || spec.normalize != Normalize::kConstant, where,
                 ": mixture.normalize constant gives all experts weight 1 while training: given "
                 "select.inference_only true");
  LMOE_CHECK_ARG(read.entropy || select.entropy == defaults.entropy, where,
                 ": mixture.select.entropy cannot act with mixture.select.kind ",
                 enum_name(select.kind), ", expected entropy_switch");
  check_never_empty(spec, where);
  check_sampling(spec, where);
  check_private(spec, where);
  LMOE_CHECK_ARG(spec.experts.scale_by != ScaleBy::kActive || select.kind == SelectKind::kTopK ||
                     select.kind == SelectKind::kAll,
                 where, ": mixture.experts.scale_by active divides by the number of experts of a ",
                 "token: given select.kind ", enum_name(select.kind),
                 ", which has no fixed number, expected top_k");
}

}  // namespace lmoe::spec
