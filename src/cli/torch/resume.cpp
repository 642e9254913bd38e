// `lmoe resume`: goes on with an interrupted run from its newest complete
// checkpoint.
#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/torch/commands.h"
#include "cli/torch/train_run.h"
#include "cli/torch/workers.h"
#include "distributed/all_or_none.h"
#include "recipe/recipe.h"

namespace lmoe::cli {
namespace {

recipe::Recipe read(const std::string& run) {
  const fs::path config = fs::path(run) / "config_effective.json";
  if (!fs::exists(config)) {
    fail(ErrorCode::kNotFound, "[resume] ", run,
         " has no config_effective.json; hint: give the output_dir of a run");
  }
  ReadReport report;
  return recipe::read_recipe(
      config,
      {"output_dir=" + run, "auto_resume_from_checkpoints=true", "overwrite_output_dir=false"},
      report);
}

}  // namespace

int run_resume(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Continues an interrupted run, bit for bit, from its newest "
      "complete checkpoint; without one it starts from the beginning. "
      "A finished run stays as it is. Any number of workers can go on with it: "
      "they share the micro-batches of a step out.",
      "lmoe resume"};
  app.footer(
      "examples:\n  lmoe resume runs/l-moe\n"
      "  torchrun --no-python --nproc-per-node 2 lmoe resume runs/l-moe");
  std::string run;
  app.add_option("run", run, "the run's folder")->required();
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  return with_workers([&](Workers& workers) {
    recipe::Recipe recipe;
    distributed::all_or_none(workers.group(), [&] { recipe = read(run); });
    return resume_run(recipe, workers);
  });
}

}  // namespace lmoe::cli
