#include "base/error.h"
#include "recipe/cross_checks.h"
#include "spec/method_info.h"

namespace lmoe::recipe {
namespace {

void check_language_model(const Recipe& recipe, const std::string& where) {
  const spec::MixtureSpec& mixture = recipe.mixture;
  LMOE_CHECK_ARG(recipe.objective.reward_passes == 1, where, ": reward_passes cannot act: given ",
                 recipe.objective.reward_passes,
                 " with objective language_model, expected objective preference");
  LMOE_CHECK_ARG(!recipe.objective.init_reward_head, where,
                 ": init_reward_head cannot act with objective language_model, expected objective "
                 "preference");
  LMOE_CHECK_ARG(!spec::find_method(mixture.method).is_reward_model, where, ": method ",
                 mixture.method,
                 " is a reward model: given objective language_model, expected preference");
  LMOE_CHECK_ARG(!mixture.schedule.freeze_experts || mixture.gate.net != spec::GateNet::kSelf,
                 where,
                 ": mixture.schedule.freeze_experts leaves nothing to train: gate.net self has no "
                 "weights");
}

void check_head(const Recipe& recipe, const std::string& where) {
  if (!recipe.objective.init_reward_head) return;
  LMOE_CHECK_ARG(recipe.objective.reward_passes == 1, where,
                 ": init_reward_head cannot act: given reward_passes ",
                 recipe.objective.reward_passes, ", whose aggregator begins anew, expected 1");
  LMOE_CHECK_ARG(!recipe.run.init_from, where,
                 ": init_reward_head cannot act: given init_from, which brings its own head");
}

void check_passes(const Recipe& recipe, const std::string& where) {
  const spec::MixtureSpec& mixture = recipe.mixture;
  const int64_t passes = recipe.objective.reward_passes;
  LMOE_CHECK_ARG(passes == 1 || is_routed_by_task(mixture), where,
                 ": reward_passes takes one expert of a document's task after the other: given ",
                 passes, " with gate.source ", enum_name(mixture.gate.source), " and net ",
                 enum_name(mixture.gate.net), ", expected task_id and self");
  LMOE_CHECK_ARG(mixture.experts.count % passes == 0, where, ": reward_passes ", passes,
                 " does not divide the experts among tasks: given experts.count ",
                 mixture.experts.count, ", expected a multiple");
  const int64_t unlabelled = mixture.gate.default_task.value_or(0);
  LMOE_CHECK_ARG(!is_routed_by_task(mixture) || unlabelled < reward_heads(recipe), where,
                 ": mixture.gate.default_task: given ", unlabelled, ", expected less than ",
                 reward_heads(recipe), ", the tasks that ", mixture.experts.count,
                 " experts serve with reward_passes ", passes);
}

}  // namespace

bool is_routed_by_task(const spec::MixtureSpec& mixture) {
  return mixture.gate.source == spec::GateSource::kTaskId &&
         mixture.gate.net == spec::GateNet::kSelf;
}

int64_t reward_heads(const Recipe& recipe) {
  return is_routed_by_task(recipe.mixture)
             ? recipe.mixture.experts.count / recipe.objective.reward_passes
             : 1;
}

void check_objective(const Recipe& recipe, const std::string& where) {
  if (recipe.objective.kind == Objective::kLanguageModel) {
    check_language_model(recipe, where);
    return;
  }
  const data::DataOptions defaults;
  LMOE_CHECK_ARG(
      !recipe.data.train_on_inputs, where,
      ": train_on_inputs cannot act with objective preference, whose loss reads the last "
      "token of each answer");
  LMOE_CHECK_ARG(recipe.data.roles_to_train == defaults.roles_to_train, where,
                 ": roles_to_train cannot act with objective preference, whose loss reads the last "
                 "token of each answer");
  const spec::SelectSpec& select = recipe.mixture.select;
  const std::string unknown =
      " cannot act with objective preference, whose records do not say where an answer begins";
  LMOE_CHECK_ARG(select.private_experts == 0 || select.private_by != spec::PrivateBy::kRole, where,
                 ": select.private_by role", unknown);
  LMOE_CHECK_ARG(recipe.mixture.prompts.count == 0, where, ": prompts", unknown);
  check_passes(recipe, where);
  check_head(recipe, where);
}

}  // namespace lmoe::recipe
