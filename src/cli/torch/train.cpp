// `lmoe train`: experts and router together, from one recipe.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/torch/commands.h"
#include "cli/torch/dry_run.h"
#include "cli/torch/train_run.h"
#include "cli/torch/workers.h"
#include "distributed/all_or_none.h"
#include "mixture/load_adapter.h"
#include "recipe/recipe.h"

namespace lmoe::cli {
namespace {

recipe::Recipe read(const std::string& path, const std::vector<std::string>& overrides) {
  LMOE_CHECK_ARG(std::filesystem::exists(path) && !std::filesystem::is_directory(path),
                 "[train] no such recipe: given \"", path,
                 "\", expected a YAML file; hint: `lmoe examples` prints ready ones");
  ReadReport report;
  recipe::Recipe recipe = recipe::read_recipe(path, overrides, report);
  recipe.mixture = mixture::with_adapters(std::move(recipe.mixture));
  for (const std::string& note : report.notes) log().info("note: {}", note);
  return recipe;
}

/// From what each of them does to what one would have to do alone.
void count_all_workers(recipe::BatchOptions& batch, int workers) {
  batch.gradient_accumulation_steps *= workers;
  if (batch.batch_size) *batch.batch_size *= workers;
}

}  // namespace

int run_train(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Trains a mixture of LoRA experts and its router from a recipe. "
      "Settings after the recipe win over it.",
      "lmoe train"};
  app.footer(
      "examples:\n"
      "  lmoe train recipes/l-moe.yaml\n"
      "  lmoe train recipes/l-moe.yaml mixture.num_experts=4 "
      "learning_rate=1e-3 output_dir=runs/four\n"
      "  lmoe train recipes/l-moe.yaml --dry-run     # one masked "
      "sample, targets, parameters, memory\n"
      "  torchrun --no-python --nproc-per-node 2 lmoe train recipe.yaml     # two workers, each "
      "with\n"
      "                                    # gradient_accumulation_steps micro-batches of every "
      "step\n"
      "Every key: lmoe schema. Ctrl-C saves a checkpoint and ends with "
      "exit code 130; `lmoe resume RUN` goes on from it. In the first look "
      "after training the run is complete already: Ctrl-C there ends with 0.");
  std::string path;
  bool dry_run = false;
  app.add_option("recipe", path, "the recipe file")->required();
  app.add_flag("--dry-run", dry_run, "show what would be trained, and stop");
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;

  if (dry_run) return print_dry_run(read(path, overrides));
  return with_workers([&](Workers& workers) {
    recipe::Recipe recipe;
    distributed::all_or_none(workers.group(), [&] { recipe = read(path, overrides); });
    count_all_workers(recipe.batch, workers.group().size());
    return train_run(recipe, workers);
  });
}

}  // namespace lmoe::cli
