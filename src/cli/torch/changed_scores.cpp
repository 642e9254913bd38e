#include "cli/torch/changed_scores.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "cli/torch/eval_data.h"
#include "eval/table.h"

namespace lmoe::cli {
namespace {

eval::EvalResult score(const std::vector<std::string>& files,
                       ChosenModel& model,
                       const mixture::Mixture& mixture,
                       const std::string& name) {
  std::vector<eval::EvalTask> tasks;
  for (const data::Dataset& dataset : eval_datasets(files, {}, model.recipe))
    tasks.push_back(eval::make_task(dataset, *model.renderer, eval::Metric::kAuto));
  runner::TorchStepModel steps(*model.loaded->decoder, &mixture);
  EvalProgressView view(name);
  eval::EvalOptions options;
  options.ablation_records = 0;
  options.sample_generations = 0;
  return eval::evaluate(steps, model.tokenizer(), tasks, options, view.hooks(), name);
}

}  // namespace

std::vector<eval::EvalItem> sample_items(const std::vector<std::string>& files,
                                         const ChosenModel& model,
                                         int64_t most) {
  std::vector<eval::EvalItem> items;
  if (files.empty()) return items;
  for (const data::Dataset& dataset : eval_datasets(files, {}, model.recipe)) {
    const eval::EvalTask task = eval::make_task(dataset, *model.renderer, eval::Metric::kAuto);
    for (const eval::EvalItem& item : eval::first_items(task, most).items) {
      LMOE_CHECK_ARG(item.passages.empty() && item.prompt_passages.empty(), "[samples] ",
                     dataset.file, ":", item.line,
                     ": samples with passages cannot be read here: given passages, expected plain "
                     "records");
      items.push_back(item);
    }
  }
  return items;
}

std::vector<eval::EvalResult> scores_before_and_after(const std::vector<std::string>& files,
                                                      ChosenModel& model,
                                                      mixture::Mixture& changed) {
  std::vector<eval::EvalResult> results;
  if (files.empty()) return results;
  const nn::Sockets& sockets = model.loaded->decoder->sockets();
  results.push_back(score(files, model, *model.loaded->mixture, "before"));
  model.loaded->mixture->unplug(sockets);
  changed.plug(sockets);
  results.push_back(score(files, model, changed, "after"));
  return results;
}

void print_change(const std::vector<eval::EvalResult>& results, bool as_json) {
  if (results.empty()) return;
  const eval::EvalOptions options;
  if (!as_json) {
    std::printf("%s", eval::comparison_table(results, options).c_str());
    std::printf("* differs from before beyond chance\n");
    return;
  }
  Json json = {{"results", Json::array()}};
  for (const eval::EvalResult& result : results)
    json["results"].push_back(eval::result_json(result));
  json["comparison"] = eval::comparison_json(results, options);
  std::printf("%s\n", json.dump().c_str());
}

fs::path changed_run_folder(const std::string& out,
                            const fs::path& run,
                            const std::string& ending,
                            const char* operation) {
  fs::path target = out;
  if (out.empty()) {
    target = run.lexically_normal();
    if (!target.has_filename()) target = target.parent_path();
    target += "-" + ending;
  }
  LMOE_CHECK_ARG(!fs::exists(target), operation, " ", target.string(),
                 " exists already; hint: --out names another folder");
  return target;
}

}  // namespace lmoe::cli
