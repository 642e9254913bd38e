#include "cli/torch/eval_data.h"

#include <algorithm>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/known_names.h"
#include "data/encoded_dataset.h"

namespace lmoe::cli {
namespace {

std::vector<data::DatasetOptions> sources(const std::vector<std::string>& paths,
                                          const recipe::Recipe& recipe,
                                          const std::string& task,
                                          const std::string& split) {
  std::vector<data::DatasetOptions> result;
  for (const std::string& path : paths)
    result.push_back({.path = path, .task = task, .split = split});
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
                                         const recipe::Recipe& recipe,
                                         const std::string& task,
                                         const std::string& split) {
  LMOE_CHECK_ARG(task.empty() || !paths.empty(),
                 "[eval] --task says what --data belongs to: given \"", task, "\" without --data");
  std::vector<data::Dataset> datasets;
  for (const data::DatasetOptions& source : sources(paths, recipe, task, split))
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

int64_t task_number(const data::Dataset& dataset, const recipe::Recipe& recipe) {
  const std::vector<data::DatasetOptions>& entries = recipe.data.datasets;
  const std::vector<int32_t> numbers = data::task_numbers(entries);
  const auto is_same = [](const std::filesystem::path& a, const std::filesystem::path& b) {
    std::error_code is_gone;
    return std::filesystem::equivalent(a, b, is_gone);
  };
  std::vector<std::string> names;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::filesystem::path file = dataset.file, path = entries[i].path;
    const bool found = dataset.task.empty()
                           ? is_same(file, path) || is_same(file.parent_path(), path)
                           : dataset.task == entries[i].task;
    if (found) return numbers[i];
    if (!entries[i].task.empty()) names.push_back(entries[i].task);
  }
  if (dataset.task.empty()) return -1;
  fail(ErrorCode::kNotFound, "[eval] the run has no such task: given \"", dataset.task,
       "\", expected one of ", one_of(dataset.task, names));
}

bool is_training_data(const data::Dataset& dataset, const recipe::Recipe& recipe) {
  const auto overlaps = [&](const data::DatasetOptions& source) {
    std::error_code is_gone;
    try {
      if (!std::filesystem::equivalent(data::resolve_dataset(source).file, dataset.file, is_gone))
        return false;
      // Records of a part stand together.
      const data::Dataset trained = data::read_dataset(source, data::Purpose::kTraining);
      return trained.records.front().line <= dataset.records.back().line &&
             dataset.records.front().line <= trained.records.back().line;
    } catch (const Error&) {  // the training data may be elsewhere, or others, by now
      return false;
    }
  };
  return std::any_of(recipe.data.datasets.begin(), recipe.data.datasets.end(), overlaps);
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
