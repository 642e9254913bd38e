#include "cli/torch/start_reward_heads.h"

#include <algorithm>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/known_names.h"
#include "io/checkpoints.h"
#include "mixture/run_folder.h"
#include "nn/reward_head.h"
#include "runner/base_record.h"
#include "spec/mixture_spec.h"

namespace lmoe::cli {
namespace {

/// The run that a checkpoint belongs to, or the run itself.
fs::path whole_run(const fs::path& folder) {
  const bool is_checkpoint = folder.parent_path().filename() == "checkpoints";
  return is_checkpoint ? folder.parent_path().parent_path() : folder;
}

/// NAME of `adapter` when it is RUN/experts/NAME, also of a checkpoint; otherwise nothing.
std::string expert_of_run(const fs::path& adapter, const fs::path& run) {
  std::error_code is_gone;
  const fs::path folder = fs::canonical(adapter, is_gone);
  const fs::path owner = folder.parent_path().parent_path();
  const bool is_expert = !is_gone && folder.parent_path() == mixture::experts_folder(owner) &&
                         fs::equivalent(whole_run(owner), whole_run(fs::canonical(run)), is_gone);
  return is_expert ? folder.filename().string() : "";
}

std::vector<int64_t> heads_by_position(int64_t own, int64_t given) {
  LMOE_CHECK_ARG(own % given == 0, "[train] init_reward_head: given a run with ", given,
                 " reward heads, expected a number that divides ", own, ", those of this run");
  std::vector<int64_t> heads;
  for (int64_t g = 0; g < own; ++g) heads.push_back(g / (own / given));
  return heads;
}

/// Which of the `given` heads of `run` each of our `own` begins as.
std::vector<int64_t> heads_to_begin_with(const std::vector<std::string>& adapters,
                                         int64_t own,
                                         const fs::path& run,
                                         int64_t given) {
  std::vector<std::string> experts;
  for (const std::string& adapter : adapters) experts.push_back(expert_of_run(adapter, run));
  const auto others = std::count(experts.begin(), experts.end(), "");
  const bool has_one_each = given > 1 && own == std::ssize(adapters);
  if (!has_one_each || others == own) return heads_by_position(own, given);
  LMOE_CHECK_ARG(others == 0, "[train] init_reward_head: given ", own - others,
                 " mixture.adapters that are experts of ", run.string(), " and ", others,
                 " that are not, expected all or none, or nobody knows whose head these begin as");
  ReadReport report;
  const std::vector<std::string> names =
      spec::read_mixture(read_config_file(mixture::spec_file(run)), report).expert_names();
  std::vector<int64_t> heads;
  for (const std::string& expert : experts) {
    const auto found = std::find(names.begin(), names.end(), expert);
    LMOE_CHECK_ARG(found != names.end(), "[train] init_reward_head: ", run.string(),
                   " has no reward head of \"", expert, "\", expected one of ",
                   one_of(expert, names));
    heads.push_back(found - names.begin());
  }
  return heads;
}

}  // namespace

void begin_with_heads_of_run(const recipe::Recipe& recipe,
                             const arch::BaseModel& base,
                             ModelSetup& model) {
  const fs::path run = io::complete_run(*recipe.objective.init_reward_head);
  runner::check_same_base(runner::read_base_record(run), base, run);
  const fs::path file = nn::reward_head_file(run);
  LMOE_CHECK_ARG(fs::exists(file), "[train] init_reward_head: ", run.string(),
                 " is no reward model; expected a run with objective preference");
  const auto given = nn::RewardHead::load(file);
  model.reward_head->begin_with(
      *given, heads_to_begin_with(model.mixture->spec().experts.adapters,
                                  model.reward_head->shape().heads, run, given->shape().heads));
  log().info("the reward heads begin with those of {}", run.string());
}

void go_on_with_head(const fs::path& run, ModelSetup& model) {
  const fs::path file = nn::reward_head_file(run);
  if (!model.reward_head || !fs::exists(file)) return;
  const auto start = nn::RewardHead::load(file);
  if (start->shape() != model.reward_head->shape()) {
    log().info("the reward head begins anew: that of {} has other passes or tasks", run.string());
    return;
  }
  model.reward_head->copy_from(*start);
  log().info("the reward head begins with that of {}", run.string());
}

}  // namespace lmoe::cli
