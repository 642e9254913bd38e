// One training run from recipe to report; `lmoe train` and `lmoe resume` share
// it.
#pragma once

#include "recipe/recipe.h"

namespace lmoe::cli {

/// Returns the exit code: 0, or 130 when Ctrl-C ended the run after saving.
int train_run(const recipe::Recipe& recipe);

}  // namespace lmoe::cli
