// One training run from recipe to report; `lmoe train` and `lmoe resume` share
// it.
#pragma once

#include "recipe/recipe.h"

namespace lmoe::cli {

/// Returns the exit code: 0, or 130 when Ctrl-C ended the run after saving. Once
/// the run is complete, Ctrl-C ends the first look at it, with 0.
int train_run(const recipe::Recipe& recipe);

/// The same; a finished run is left as it is, with 0.
int resume_run(const recipe::Recipe& recipe);

}  // namespace lmoe::cli
