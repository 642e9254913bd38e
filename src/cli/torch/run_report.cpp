#include "cli/torch/run_report.h"

#include <cstdio>

#include "base/files.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/report_data.h"
#include "cli/terminal.h"
#include "data/record.h"
#include "eval/evaluate.h"
#include "runner/torch_step_model.h"

namespace lmoe::cli {
namespace {

/// Enough for a first look; `lmoe eval` scores all records.
constexpr int64_t kRecordsPerTask = 32;

std::vector<eval::EvalTask> quick_tasks(const recipe::Recipe& recipe,
                                        const data::Renderer& renderer) {
  std::vector<eval::EvalTask> tasks;
  for (const data::DatasetOptions& source :
       recipe.eval_datasets.empty() ? recipe.data.datasets : recipe.eval_datasets) {
    const data::Dataset dataset = data::read_dataset(source, data::Purpose::kEvaluation);
    tasks.push_back(
        first_items(make_task(dataset, renderer, eval::Metric::kAuto), kRecordsPerTask));
  }
  return tasks;
}

}  // namespace

void write_run_report(const recipe::Recipe& recipe,
                      const fs::path& run,
                      const DataSetup& data,
                      ModelSetup& model) {
  const std::vector<eval::EvalTask> tasks = quick_tasks(recipe, *data.renderer);
  runner::TorchStepModel steps(*model.decoder, model.mixture.get());
  Progress progress("a first look at " + std::to_string(kRecordsPerTask) + " records per task");
  eval::EvalOptions options;
  options.ablation_records = 0;
  eval::EvalHooks hooks;
  hooks.on_progress = [&](const eval::EvalProgress& p) {
    progress.update(p.done, p.total, p.task + " " + p.phase);
  };
  hooks.is_cancelled = [] { return interrupted(); };
  const eval::EvalResult result =
      eval::evaluate(steps, *data.base->tokenizer, tasks, options, hooks, run.filename().string());
  progress.finish();
  Json evaluation = Json::object();
  evaluation["results"] = Json::array();
  evaluation["results"].push_back(eval::result_json(result));
  write_file_atomically(run / "eval.json", evaluation.dump(1) + "\n");
  std::printf("%s", eval::result_table(result).c_str());
  std::printf("report: %s\n", write_report(run).c_str());
}

}  // namespace lmoe::cli
