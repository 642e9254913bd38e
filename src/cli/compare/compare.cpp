// `lmoe compare`: methods of equal size on equal tokens, each at its best learning rate.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/files.h"
#include "cli/compare/study_page.h"
#include "cli/compare/study_plan.h"
#include "cli/compare/study_result.h"
#include "cli/compare/study_runs.h"
#include "cli/interrupt.h"
#include "cli/option_arguments.h"
#include "cli/torch_free_commands.h"

namespace lmoe::cli {
namespace {

/// Shared by all runs: method, rate and seed are their own.
Json shared_recipe(const StudyPlan& plan) {
  Json recipe = recipe::effective_config(plan.shared);
  for (const char* key : {"mixture", "learning_rate", "seed", "output_dir"}) recipe.erase(key);
  return recipe;
}

int compare(const std::string& recipe, const std::vector<std::string>& settings) {
  const StudyPlan plan = plan_study(recipe, settings);
  catch_interrupts();
  fs::create_directories(plan.out);
  Failures failures;
  train_runs(plan, failures);
  if (!plan.has_validation()) {
    std::vector<const PlannedRun*> all;
    for (const PlannedRun& run : plan.runs)
      if (failures.count(run.name()) == 0) all.push_back(&run);
    score_runs(plan, all, failures);
  }
  score_runs(plan, chosen_runs(plan, choose_rates(plan)), failures);

  const Json study = study_json(plan, recipe, failures);
  write_file_atomically(plan.out / "compare.json", study.dump(1) + "\n");
  write_file_atomically(plan.out / "compare.html", study_page(study, shared_recipe(plan)));
  std::printf("%s\npage: %s\n", study_markdown(study).c_str(), (plan.out / "compare.html").c_str());
  return failures.empty() ? 0 : 1;
}

}  // namespace

int run_compare(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Trains methods with the same number of trained parameters on the same tokens, over several\n"
      "learning rates, scores each at its best one and writes one page. Runs that are finished "
      "are\n"
      "not repeated, interrupted ones go on; a run that fails is reported, the rest goes on.",
      "lmoe compare"};
  app.footer(
      "settings, as key=value or --key value:\n" + options_help(describe_options<StudyOptions>()) +
      "  METHOD:key=value     a key of the mixture section, for one method\n"
      "All other settings are those of recipes. A method is its preset with the rank that gives "
      "it\n"
      "the wanted size, as near as whole ranks come: mixtures of many experts are off by tens of\n"
      "percent at small sizes; of the recipe's own mixture only target_modules count.\n"
      "examples:\n"
      "  lmoe compare recipes/l-moe.yaml methods=lora,l-moe,mola lr=1e-4,3e-4,1e-3 seeds=3\n"
      "  lmoe compare recipes/l-moe.yaml methods=lora,l-moe lora:rank=32 l-moe:num_experts=4 "
      "max_steps=50");
  std::string recipe;
  app.add_option("recipe", recipe, "data, base and schedule for all methods")->required();
  std::vector<std::string> settings;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &settings); outcome.finished)
    return outcome.exit_code;
  return compare(recipe, settings);
}

}  // namespace lmoe::cli
