#include "recipe/cross_checks.h"

#include "base/error.h"
#include "recipe/given_keys.h"

namespace lmoe::recipe {
namespace {

std::string place_of(const ConfigNode& tree, std::string_view key) {
  const ConfigNode* node = given(tree, key);
  return node != nullptr ? node->where.text() : tree.where.text();
}

void refuse_both(const ConfigNode& tree, const char* first, const char* second) {
  const ConfigNode* a = given(tree, first);
  const ConfigNode* b = given(tree, second);
  LMOE_CHECK_ARG(a == nullptr || b == nullptr, "[config] ", b->where.text(), ": \"", second,
                 "\" and \"", first, "\" (", a->where.text(), ") exclude each other");
}

/// `batch_size` is rows per optimizer step here and rows per forward in torchtune and MLX-LM, so it
/// is accepted only where both readings are settled.
void settle_batch(const ConfigNode& tree, BatchOptions& batch) {
  const bool has_micro = given(tree, "micro_batch_size") != nullptr;
  const bool has_steps = given(tree, "gradient_accumulation_steps") != nullptr;
  int64_t& micro = batch.micro_batch_size;
  int64_t& steps = batch.gradient_accumulation_steps;
  if (batch.batch_size) {
    const int64_t rows = *batch.batch_size;
    const std::string where = concat("[config] ", place_of(tree, "batch_size"), ": batch_size");
    LMOE_CHECK_ARG(has_micro || has_steps, where,
                   " is rows per optimizer step here and rows per forward elsewhere: given ", rows,
                   " alone, expected micro_batch_size or gradient_accumulation_steps with it; "
                   "hint: micro_batch_size=4 batch_size=16");
    if (has_micro != has_steps) {
      const int64_t divisor = has_micro ? micro : steps;
      LMOE_CHECK_ARG(rows % divisor == 0, where, " cannot be split: given ", rows,
                     ", expected a multiple of ",
                     has_micro ? "micro_batch_size " : "gradient_accumulation_steps ", divisor);
      (has_micro ? steps : micro) = rows / divisor;
    }
    LMOE_CHECK_ARG(rows == micro * steps, where, " contradicts other keys: given ", rows,
                   ", expected micro_batch_size x gradient_accumulation_steps = ", micro, " x ",
                   steps, " = ", micro * steps, "; hint: leave one of the three out");
  }
  batch.batch_size = micro * steps;
  if (const ConfigNode* iters = tree.find("iters")) {
    LMOE_CHECK_ARG(steps == 1, "[config] ", iters->where.text(),
                   ": iters counts forwards in MLX-LM and optimizer steps here, which differ with "
                   "gradient_accumulation_steps ",
                   steps, "; hint: write max_steps");
  }
}

void settle_schedule(const ConfigNode& tree, Recipe& recipe) {
  refuse_both(tree, "warmup_ratio", "warmup_steps");
  // The default warm-up is for rates that fall again; a constant one asks for it.
  const ConfigNode* scheduler = given(tree, "lr_scheduler");
  const bool is_plain_constant = recipe.optimizer.lr_scheduler == LrScheduler::kConstant &&
                                 scheduler != nullptr &&
                                 scheduler->scalar != "constant_with_warmup";
  const bool asks = given(tree, "warmup_ratio") != nullptr;
  if (recipe.optimizer.warmup_steps || (is_plain_constant && !asks))
    recipe.optimizer.warmup_ratio.reset();
}

void check_optimizer(const ConfigNode& tree, const OptimizerOptions& options) {
  const OptimizerOptions defaults;
  const bool is_sgd = options.optimizer == Optimizer::kSgd;
  const auto check = [&](const char* key, bool acts) {
    LMOE_CHECK_ARG(acts, "[config] ", place_of(tree, key), ": ", key,
                   " cannot act with optimizer: ", enum_name(options.optimizer));
  };
  check("sgd_momentum", is_sgd || !options.sgd_momentum);
  check("adam_beta1", !is_sgd || options.adam_beta1 == defaults.adam_beta1);
  check("adam_beta2", !is_sgd || options.adam_beta2 == defaults.adam_beta2);
  check("adam_epsilon", !is_sgd || options.adam_epsilon == defaults.adam_epsilon);
}

void settle_run(const ConfigNode& tree, RunOptions& run) {
  LMOE_CHECK_ARG(!run.document_cache_dir || run.document_cache_file_mb > 0, "[config] ",
                 place_of(tree, "document_cache_dir"),
                 ": document_cache_dir cannot act without a file; hint: document_cache_file_mb");
  refuse_both(tree, "save_steps", "saves_per_epoch");
  refuse_both(tree, "eval_steps", "evals_per_epoch");
  if (run.save_steps) run.saves_per_epoch.reset();
  if (run.eval_steps) run.evals_per_epoch.reset();
  const bool resumes = run.resume_from_checkpoint || run.auto_resume_from_checkpoints;
  LMOE_CHECK_ARG(!run.resume_from_checkpoint || !run.auto_resume_from_checkpoints, "[config] ",
                 place_of(tree, "resume_from_checkpoint"),
                 ": resume_from_checkpoint and auto_resume_from_checkpoints exclude each other");
  LMOE_CHECK_ARG(!resumes || !run.overwrite_output_dir, "[config] ",
                 place_of(tree, "overwrite_output_dir"),
                 ": overwrite_output_dir would remove the run to resume; hint: keep one of them");
  LMOE_CHECK_ARG(run.loss_watchdog_threshold ||
                     run.loss_watchdog_patience == RunOptions{}.loss_watchdog_patience,
                 "[config] ", place_of(tree, "loss_watchdog_patience"),
                 ": loss_watchdog_patience cannot act without loss_watchdog_threshold");
}

void settle_data(const ConfigNode& tree, Recipe& recipe) {
  const data::DataOptions defaults;
  LMOE_CHECK_ARG(
      !recipe.data.train_on_inputs || recipe.data.roles_to_train == defaults.roles_to_train,
      "[config] ", place_of(tree, "roles_to_train"),
      ": roles_to_train cannot act with train_on_inputs: true, where everything carries loss");
  const bool moves_prompts =
      recipe.data.train_on_inputs || recipe.data.roles_to_train != defaults.roles_to_train;
  LMOE_CHECK_ARG(
      !moves_prompts || !spec::knows_prompts(recipe.mixture), "[config] ",
      place_of(tree, "mixture"),
      ": gate.pool prompt, select.private_by role and prompts take a prompt to end where learning "
      "begins, which train_on_inputs and roles_to_train move");
  constexpr int64_t kFewestTokens = 8;  // the least sequence_len
  const int64_t prompts = recipe.mixture.prompts.positions();
  LMOE_CHECK_ARG(prompts == 0 || prompts + kFewestTokens <= recipe.data.sequence_len, "[config] ",
                 place_of(tree, "mixture"), ": mixture.prompts put ", prompts,
                 " positions in front of each document, which count in sequence_len: given ",
                 recipe.data.sequence_len, ", expected at least ", prompts + kFewestTokens);
  LMOE_CHECK_ARG(prompts == 0 || !recipe.batch.gradient_checkpointing ||
                     recipe.mixture.gate.source != spec::GateSource::kEmbedding,
                 "[config] ", place_of(tree, "mixture"),
                 ": mixture.prompts with gate.source embedding cannot act with "
                 "gradient_checkpointing: layers that are computed again would learn the prompts "
                 "twice");
  for (auto* list : {&recipe.data.datasets, &recipe.eval_datasets}) {
    for (data::DatasetOptions& dataset : *list) {
      const bool has_own = dataset.max_samples > 0 || dataset.path.find('#') != std::string::npos;
      if (!has_own) dataset.max_samples = recipe.max_samples;
    }
  }
}

void check_router_keys(const ConfigNode& tree, const Recipe& recipe) {
  LMOE_CHECK_ARG(recipe.mixture.has_gate() || recipe.optimizer.router_lr_multiplier == 1.0,
                 "[config] ", place_of(tree, "router_lr_multiplier"),
                 ": router_lr_multiplier cannot act: method ", recipe.mixture.method,
                 " has no router");
}

}  // namespace

void settle(const ConfigNode& tree, Recipe& recipe) {
  settle_batch(tree, recipe.batch);
  settle_schedule(tree, recipe);
  check_optimizer(tree, recipe.optimizer);
  settle_run(tree, recipe.run);
  settle_data(tree, recipe);
  check_router_keys(tree, recipe);
  check_objective(recipe, "[config] " + place_of(tree, "objective"));
}

}  // namespace lmoe::recipe
