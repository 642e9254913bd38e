#include <algorithm>

#include "spec/check_parts.h"

namespace lmoe::spec {
namespace {

bool has_private_by_task(const SelectSpec& select) {
  return select.private_experts > 0 && select.private_by == PrivateBy::kTask;
}

bool needs_tasks(const MixtureSpec& spec) {
  const auto& losses = spec.losses;
  return spec.gate.source == GateSource::kTaskId || spec.schedule.hard_until > 0.0 ||
         has_private_by_task(spec.select) ||
         std::any_of(losses.begin(), losses.end(),
                     [](const LossSpec& loss) { return needs_tasks(loss.kind); });
}

}  // namespace

MixtureSpec with_tasks(MixtureSpec spec, int64_t tasks) {
  if (!needs_tasks(spec)) return spec;
  LMOE_CHECK_ARG(tasks >= 2, "[mixture] method ", spec.method,
                 " needs to know the task of each record, but the data have no labels that tell "
                 "tasks apart: given ",
                 tasks,
                 " task, expected at least 2; hint: one entry of `datasets` per task, or "
                 "`task:` in the entries");
  const std::vector<int64_t>& by_layer = spec.experts.count_by_layer;
  const int64_t fewest =
      by_layer.empty() ? spec.experts.count : *std::min_element(by_layer.begin(), by_layer.end());
  LMOE_CHECK_ARG(
      tasks <= fewest, "[mixture] the data have more tasks than there are experts: given ", tasks,
      " tasks and ", fewest,
      " experts; hint: experts.count, or `task:` in the entries of `datasets`, which may "
      "share one");
  for (LossSpec& loss : spec.losses) {
    if (!is_localized(loss.kind)) continue;
    LMOE_CHECK_ARG(loss.tasks.value_or(tasks) == tasks, "[mixture] mixture.losses, ",
                   enum_name(loss.kind), ": given tasks ", loss.tasks.value_or(0),
                   ", but the data have ", tasks,
                   "; hint: `task:` in the entries of `datasets` puts several into one task");
    loss.tasks = tasks;
  }
  if (has_private_by_task(spec.select)) {
    LMOE_CHECK_ARG(spec.select.groups.value_or(tasks) == tasks,
                   "[mixture] mixture.select.groups: given ", spec.select.groups.value_or(0),
                   ", but the data have ", tasks, " tasks");
    spec.select.groups = tasks;
    check_selection(spec, "[mixture] data with " + std::to_string(tasks) + " tasks");
  }
  check_losses(spec, "[mixture] data with " + std::to_string(tasks) + " tasks");
  return spec;
}

}  // namespace lmoe::spec
