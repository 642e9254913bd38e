// What `lmoe eval` scores, and how it shows where it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "data/record.h"
#include "eval/eval_options.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

/// The data sets of --data, whose task is `task` (a folder stands for its `split`), or else the
/// recipe's eval_datasets; of these those that `tasks` names (the recipe's `tasks` when empty).
/// Files called train, valid or test take their folder's name. Throws kInvalidArgument when nothing
/// is left, kNotFound for a name no data set has.
std::vector<data::Dataset> eval_datasets(const std::vector<std::string>& paths,
                                         const std::vector<std::string>& tasks,
                                         const recipe::Recipe& recipe,
                                         const std::string& task = {},
                                         const std::string& split = "test");

/// The number that the run gave the task of `dataset`: of the entry of `datasets` that names the
/// same task, or where it names none of the one with the same file or folder; -1 when nobody knows.
/// Throws kNotFound for a task the run does not have.
int64_t task_number(const data::Dataset& dataset, const recipe::Recipe& recipe);

/// Whether records of `dataset` are among those that `datasets` of the recipe name: the same file,
/// and of it parts that overlap.
bool is_training_data(const data::Dataset& dataset, const recipe::Recipe& recipe);

/// One line of progress per task; what remains is estimated anew for each phase of it.
class EvalProgressView {
 public:
  explicit EvalProgressView(std::string model);
  eval::EvalHooks hooks();
  ~EvalProgressView();

 private:
  void show(const eval::EvalProgress& progress);

  std::string model_, task_, phase_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace lmoe::cli
