// What `lmoe compare` trains: methods of equal size, over learning rates and seeds.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

struct StudyOptions {
  std::string methods, lr;
  int64_t seeds = 1;
  std::optional<int64_t> parameters;
  int64_t jobs = 1;
  std::string out;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("methods", methods, "names, the first is the reference: lora,l-moe,mola"));
    visit(
        field("lr", lr, "learning rates to try for each method: 1e-4,3e-4; default: the recipe's"));
    visit(
        field("seeds", seeds, "runs per method and rate, with the recipe's seed and those after it")
            .range(1, 1000));
    visit(field("parameters", parameters,
                "trained parameters of every method; default: those of the first")
              .range(1));
    visit(field("jobs", jobs, "runs at once; they share the processor's cores").range(1, 256));
    visit(field("out", out, "folder of the study; default: the recipe's output_dir with -compare"));
  }
};

struct PlannedMethod {
  std::string name;
  spec::MixtureSpec mixture;
  int64_t parameters = 0;
};

struct PlannedRun {
  size_t method = 0;
  std::string lr;  ///< as it was written, part of the folder's name
  int64_t seed = 0;
  recipe::Recipe recipe;

  std::filesystem::path folder() const { return recipe.run.output_dir; }
  std::string name() const { return folder().filename().string(); }
};

struct StudyPlan {
  std::filesystem::path out;
  int64_t jobs = 1;
  int64_t parameters = 0;  ///< what every method comes near to
  recipe::Recipe shared;   ///< the recipe without a method
  std::vector<std::string> rates;
  std::vector<PlannedMethod> methods;
  std::vector<PlannedRun> runs;  ///< by method, rate, seed

  bool has_validation() const { return shared.data.val_set_size > 0; }
};

/// `settings` as on the command line: those of StudyOptions, METHOD:key=value for a key of one
/// method's mixture, and keys of the recipe. Of the recipe's own mixture only target_modules count.
/// Opens the base for its sizes. Throws kInvalidArgument for a method named twice, a rate that is
/// no number, a recipe without eval_datasets, a run of other settings that lies in the folder, …
StudyPlan plan_study(const std::filesystem::path& recipe, const std::vector<std::string>& settings);

}  // namespace lmoe::cli
