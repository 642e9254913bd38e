// What only several keys together can say: products, exclusions, keys that cannot act.
#pragma once

#include "base/config_node.h"
#include "recipe/recipe.h"

namespace lmoe::recipe {

/// Refuses contradictions, naming file and line, and fills in what follows from other keys:
/// batch_size, warmup_ratio, saves_per_epoch, evals_per_epoch, max_samples of each data set.
/// Throws kInvalidArgument.
void settle(const ConfigNode& tree, Recipe& recipe);

/// The part of `settle` about objective and reward_passes.
void check_objective(const Recipe& recipe, const std::string& where);

}  // namespace lmoe::recipe
