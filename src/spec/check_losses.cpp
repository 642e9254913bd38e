#include <set>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

bool counts_selected(BalanceLoss kind) {
  return kind == BalanceLoss::kTopKSwitch || kind == BalanceLoss::kTopKShare;
}

void check_task_loss(const MixtureSpec& spec, const LossSpec& loss, const std::string& name) {
  const LossSpec defaults;
  LMOE_CHECK_ARG(
      is_localized(loss.kind) || (!loss.tasks && loss.delta == defaults.delta && !loss.per_token),
      name, "tasks, delta and per_token cannot act, expected kind localized");
  if (!needs_tasks(loss.kind)) return;
  LMOE_CHECK_ARG(loss.over == LossOver::kGatesMean || loss.over == LossOver::kGatesSum, name,
                 "looks at the documents of one forward: given over ", enum_name(loss.over),
                 ", expected gates_mean or gates_sum");
  if (!loss.tasks) return;
  std::vector<int64_t> counts = spec.experts.count_by_layer;
  counts.push_back(spec.experts.count);
  for (const int64_t count : counts) {
    LMOE_CHECK_ARG(count % *loss.tasks == 0, name,
                   "gives each task an equal part of the experts: ", "given ", count,
                   " experts and ", *loss.tasks,
                   " tasks; hint: experts.count, or `task:` in the entries of `datasets`");
  }
}

void check_loss(const MixtureSpec& spec, const LossSpec& loss, const std::string& where) {
  const std::string name = where + ": mixture.losses, " + enum_name(loss.kind) + ": ";
  LMOE_CHECK_ARG(!counts_selected(loss.kind) || spec.select.kind != SelectKind::kAll, name,
                 "counts which experts are selected, but select.kind all selects every one; hint: "
                 "switch, or soft_switch");
  LMOE_CHECK_ARG(loss.kind != BalanceLoss::kImportance || spec.normalize != Normalize::kConstant,
                 name, "measures weights, but normalize constant gives them no gradient");
  LMOE_CHECK_ARG(loss.kind == BalanceLoss::kEntropy || loss.entropy == EntropySpec(), name,
                 "its keys \"entropy\" cannot act, expected kind entropy");
  LMOE_CHECK_ARG(loss.kind == BalanceLoss::kEntropy || loss.coef >= 0.0, name, "given coef ",
                 loss.coef, ", expected at least 0; only entropy can be rewarded");
  check_task_loss(spec, loss, name);
  LMOE_CHECK_ARG(!loss.per_group || spec.select.private_experts > 0, name,
                 "per_group measures groups that have experts of their own: given "
                 "select.private_experts 0");
  LMOE_CHECK_ARG(!loss.per_group || !needs_tasks(loss.kind), name,
                 "per_group cannot act: it looks at tasks already");
  LMOE_CHECK_ARG(loss.over != LossOver::kPooled || spec.experts.count_by_layer.empty(), name,
                 "over pooled takes the tokens of all layers together, but "
                 "experts.count_by_layer gives layers different experts; hint: layers_pooled_sum");
}

}  // namespace

void check_losses(const MixtureSpec& spec, const std::string& where) {
  LMOE_CHECK_ARG(spec.losses.empty() || spec.gate.net != GateNet::kSelf || spec.experts.train_a,
                 where,
                 ": mixture.losses cannot act: gate.net self with experts.train_a false has "
                 "nothing to train; hint: bias.use");
  std::set<BalanceLoss> seen;
  for (const LossSpec& loss : spec.losses) {
    LMOE_CHECK_ARG(seen.insert(loss.kind).second, where, ": mixture.losses names ",
                   enum_name(loss.kind), " twice");
    check_loss(spec, loss, where);
  }
}

}  // namespace lmoe::spec
