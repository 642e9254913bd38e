#include "cli/torch/eval_data.h"

#include <algorithm>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/known_names.h"

namespace lmoe::cli {
namespace {

std::vector<data::DatasetOptions> sources(const std::vector<std::string>& paths,
                                          const recipe::Recipe& recipe) {
  std::vector<data::DatasetOptions> result;
  for (const std::string& path : paths) result.push_back({.path = path, .split = "test"});
  if (result.empty()) result = recipe.eval_datasets;
  LMOE_CHECK_ARG(
      !result.empty(),
      "[eval] nothing to evaluate: given neither, expected --data FILE… or eval_datasets in "
      "the run's recipe");
  return result;
}

data::Dataset read(const data::DatasetOptions& source) {
  data::Dataset dataset = data::read_dataset(source, data::Purpose::kEvaluation);
  const bool is_split =
      dataset.name == "train" || dataset.name == "valid" || dataset.name == "test";
  if (is_split && source.name.empty()) {
    const std::string folder =
        std::filesystem::absolute(dataset.file).parent_path().filename().string();
    if (!folder.empty()) dataset.name = folder;
  }
  return dataset;
}

}  // namespace

std::vector<data::Dataset> eval_datasets(const std::vector<std::string>& paths,
                                         const std::vector<std::string>& tasks,
                                         const recipe::Recipe& recipe) {
  std::vector<data::Dataset> datasets;
  for (const data::DatasetOptions& source : sources(paths, recipe))
    datasets.push_back(read(source));
  const std::vector<std::string>& wanted = tasks.empty() && paths.empty() ? recipe.tasks : tasks;
  if (wanted.empty()) return datasets;

  std::vector<data::Dataset> chosen;
  for (const std::string& name : wanted) {
    const auto found = std::find_if(datasets.begin(), datasets.end(),
                                    [&](const data::Dataset& d) { return d.name == name; });
    if (found == datasets.end()) {
      std::vector<std::string> names;
      for (const data::Dataset& dataset : datasets) names.push_back(dataset.name);
      fail(ErrorCode::kNotFound, "[eval] unknown task: given \"", name, "\", expected one of ",
           one_of(name, names));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

bool is_training_file(const std::string& file, const recipe::Recipe& recipe) {
  return std::any_of(recipe.data.datasets.begin(), recipe.data.datasets.end(),
                     [&](const data::DatasetOptions& source) {
                       std::error_code is_gone;
                       try {
                         return std::filesystem::equivalent(data::resolve_dataset(source).file,
                                                            file, is_gone);
                       } catch (const Error&) {  // the training data may be elsewhere by now
                         return false;
                       }
                     });
}

EvalProgressView::EvalProgressView(std::string model) : model_(std::move(model)) {}

EvalProgressView::~EvalProgressView() = default;

eval::EvalHooks EvalProgressView::hooks() {
  return {.on_progress = [this](const eval::EvalProgress& progress) { show(progress); },
          .is_cancelled = [] { return interrupted(); }};
}

void EvalProgressView::show(const eval::EvalProgress& progress) {
  if (task_ != progress.task || !progress_) {
    task_ = progress.task;
    progress_ = std::make_unique<Progress>(model_ + ": " + task_);
  } else if (phase_ != progress.phase) {
    progress_->restart();
  }
  phase_ = progress.phase;
  progress_->update(progress.done, progress.total, progress.phase);
}

}  // namespace lmoe::cli
