// One training run from recipe to report; `lmoe train` and `lmoe resume` share
// it.
#pragma once

#include "cli/torch/workers.h"
#include "recipe/recipe.h"

namespace lmoe::cli {

/// The workers share the micro-batches of each step out; the recipe counts those of all.
/// Returns the exit code: 0, or 130 when Ctrl-C ended the run after saving. Once
/// the run is complete, Ctrl-C ends the first look at it, with 0.
int train_run(const recipe::Recipe& recipe, Workers& workers);

/// The same; a finished run is left as it is, with 0.
int resume_run(const recipe::Recipe& recipe, Workers& workers);

}  // namespace lmoe::cli
