// `lmoe train --dry-run`: everything a person wants to check before the first
// step.
#pragma once

#include "recipe/recipe.h"

namespace lmoe::cli {

/// Prints the effective recipe, the data, one rendered, tokenised and masked
/// sample, the projections that get experts, parameter counts, steps, and the
/// expected peak memory. Returns the exit code.
int print_dry_run(const recipe::Recipe& recipe);

}  // namespace lmoe::cli
