// `lmoe eval`: scores on task files, with intervals, router usage and expert ablation.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/files.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/option_arguments.h"
#include "cli/report_data.h"
#include "cli/torch/commands.h"
#include "cli/torch/eval_data.h"
#include "cli/torch/model_choice.h"
#include "cli/torch/reference_choice.h"
#include "eval/evaluate.h"
#include "io/checkpoints.h"
#include "runner/base_record.h"

namespace lmoe::cli {
namespace {

struct EvalArguments {
  ModelChoice choice;
  ReferenceChoice references;
  std::vector<std::string> data, tasks, against;
  std::string task;
  bool as_json = false;
  eval::EvalOptions options;
};

eval::EvalResult evaluate_model(ChosenModel& model,
                                const EvalArguments& arguments,
                                const std::vector<data::Dataset>& datasets,
                                const eval::EvalOptions& options) {
  std::vector<eval::EvalTask> tasks;
  for (const data::Dataset& dataset : datasets) {
    tasks.push_back(eval::make_task(dataset, *model.renderer, arguments.options.metric));
    tasks.back().is_training_data = is_training_data(dataset, model.recipe);
    if (tasks.back().metric == eval::Metric::kPairAccuracy)
      tasks.back().task = task_number(dataset, model.recipe);
  }
  EvalProgressView view(model.name);
  return eval::evaluate(model.steps(), model.tokenizer(), tasks, options, view.hooks(), model.name);
}

/// Others are scored only: what experts do is asked of the model that is evaluated.
eval::EvalResult evaluate_other(const std::string& name,
                                const EvalArguments& arguments,
                                const std::string& base,
                                const std::vector<data::Dataset>& datasets) {
  ModelChoice choice{.dtype = arguments.choice.dtype, .takes_reward_models = true};
  (name == "base" ? choice.base : choice.run) = name == "base" ? base : name;
  ChosenModel model = open_model(choice);
  if (name == "base") model.name = "base";
  eval::EvalOptions options = arguments.options;
  options.ablation_records = 0;
  options.usage_records = 0;
  options.sample_generations = 0;
  return evaluate_model(model, arguments, datasets, options);
}

/// Says so where the answers to what is scored are among the references.
void warn_of_known_answers(const std::vector<data::Dataset>& scored,
                           const std::vector<std::string>& references,
                           const recipe::Recipe& recipe) {
  if (references.empty()) return;
  for (const data::Dataset& known : eval_datasets(references, {}, recipe, {}, kReferenceSplit))
    for (const data::Dataset& dataset : scored)
      if (std::error_code is_gone; fs::equivalent(dataset.file, known.file, is_gone))
        std::fprintf(stderr, "warning: %s is scored, and its answers are references\n",
                     known.file.c_str());
}

/// So that no evaluation is thrown away for a name that was mistyped.
void check_others(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (name != "base") runner::read_base_record(io::complete_run(run_folder(name)));
}

Json all_json(const std::vector<eval::EvalResult>& results, const eval::EvalOptions& options) {
  Json json = {{"results", Json::array()}};
  for (const eval::EvalResult& result : results)
    json["results"].push_back(eval::result_json(result));
  if (results.size() > 1) json["comparison"] = eval::comparison_json(results, options);
  return json;
}

void print(const std::vector<eval::EvalResult>& results, const EvalArguments& arguments) {
  if (arguments.as_json) {
    Json json = eval::result_json(results.back());
    if (results.size() > 1) {
      const Json all = all_json(results, arguments.options);
      json["against"] = all["results"];
      json["against"].erase(results.size() - 1);
      json["comparison"] = all["comparison"];
    }
    std::printf("%s\n", json.dump().c_str());
    return;
  }
  std::printf("%s", eval::result_table(results.back()).c_str());
  if (results.size() > 1)
    std::printf("\n* differs from %s beyond chance\n%s", results.front().model.c_str(),
                eval::comparison_table(results, arguments.options).c_str());
}

int evaluate_all(const EvalArguments& arguments) {
  catch_interrupts();
  arguments.references.check();
  check_others(arguments.against);
  std::vector<eval::EvalResult> results;
  fs::path run;
  {
    std::string base;
    std::vector<data::Dataset> datasets;
    eval::EvalResult main_result;
    {
      ChosenModel model = open_model(arguments.choice);
      base = model.loaded->base->path;
      run = model.run;
      datasets = eval_datasets(arguments.data, arguments.tasks, model.recipe, arguments.task);
      warn_of_known_answers(datasets, arguments.references.files, model.recipe);
      ask_references(arguments.references, model);
      main_result = evaluate_model(model, arguments, datasets, arguments.options);
    }
    for (const std::string& other : arguments.against)
      results.push_back(evaluate_other(other, arguments, base, datasets));
    results.push_back(std::move(main_result));
  }
  print(results, arguments);
  if (!run.empty() && fs::exists(run / "config_effective.json")) {
    write_file_atomically(run / "eval.json", all_json(results, arguments.options).dump(1) + "\n");
    std::fprintf(stderr, "report: %s\n", write_report(run).c_str());
  }
  return 0;
}

}  // namespace

int run_eval(const std::vector<std::string>& arguments) {
  EvalArguments given;
  given.choice.takes_reward_models = true;
  CLI::App app{
      "Scores a run, or a base model, on task files: exact match, choice by log-likelihood,\n"
      "perplexity, or for reward models pair accuracy, with confidence intervals; shows which "
      "experts work on which task and what\n"
      "switching each one off changes.",
      "lmoe eval"};
  app.footer(
      "settings, as key=value or --key value:\n" +
      options_help(describe_options<eval::EvalOptions>()) +
      "examples:\n"
      "  lmoe eval runs/l-moe --data data/tasks/scan/test.jsonl --json\n"
      "  lmoe eval runs/l-moe --data data/tasks/scan data/tasks/arc --against base "
      "--against runs/lora\n"
      "  lmoe eval --base smollm2-135m --data data/tasks/boolq/test.jsonl#100 "
      "metric=exact_match\n"
      "  lmoe eval runs/l-moe --data data/tasks/scan/test.jsonl --references "
      "data/tasks/scan/train.jsonl#200 \\\n"
      "    --reference-weight 0.3 --against runs/l-moe   # with what stored answers say, and "
      "without\n"
      "Without --data the run's own eval_datasets are scored. Results go to RUN/eval.json "
      "and into its report.");
  given.choice.add_to(app);
  given.references.add_to(app);
  app.add_option("--data", given.data,
                 "JSON lines, or folders with test.jsonl; FILE#100 takes 100 records");
  app.add_option("--task", given.task,
                 "which task of the run's recipe --data belongs to, for reward models with tasks");
  app.add_option("--tasks", given.tasks, "only these, by name")->delimiter(',');
  app.add_option("--against", given.against,
                 "other runs, or \"base\", on the same records, with paired differences");
  app.add_flag("--json", given.as_json, "machine-readable");
  std::vector<std::string> overrides;
  if (const ParseOutcome outcome = parse_arguments(app, arguments, &overrides); outcome.finished)
    return outcome.exit_code;
  read_overrides(overrides, given.options);
  return evaluate_all(given);
}

}  // namespace lmoe::cli
