// The end of a training run: a look at what it learned, and its page.
#pragma once

#include <filesystem>

#include "cli/torch/run_setup.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

/// Scores a few records of `eval_datasets` (or, without those, of the training data), watches the
/// router, keeps sample answers, writes eval.json and report.html, and says where.
void write_run_report(const recipe::Recipe& recipe,
                      const std::filesystem::path& run,
                      const DataSetup& data,
                      ModelSetup& model);

}  // namespace lmoe::cli
