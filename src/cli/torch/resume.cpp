// `lmoe resume`: goes on with an interrupted run from its newest complete
// checkpoint.
#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/torch/commands.h"
#include "cli/torch/train_run.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

int run_resume(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Continues an interrupted run, bit for bit, from its newest "
      "complete checkpoint; without one it starts from the beginning. "
      "A finished run stays as it is.",
      "lmoe resume"};
  app.footer("examples:\n  lmoe resume runs/l-moe");
  std::string run;
  app.add_option("run", run, "the run's folder")->required();
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  const fs::path config = fs::path(run) / "config_effective.json";
  if (!fs::exists(config)) {
    fail(ErrorCode::kNotFound, "[resume] ", run,
         " has no config_effective.json; hint: give the output_dir of a run");
  }
  ReadReport report;
  const recipe::Recipe recipe = recipe::read_recipe(
      config,
      {"output_dir=" + run, "auto_resume_from_checkpoints=true", "overwrite_output_dir=false"},
      report);
  return resume_run(recipe);
}

}  // namespace lmoe::cli
