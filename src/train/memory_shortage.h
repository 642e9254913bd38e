// Whether a training run fits into memory, and if not, which settings would make it.
//
//   check_memory(recipe, config, 4, available_memory_bytes());     refuses early
//
// Tried are no kept documents, frozen_weights=file, fewer rows per forward (and per step, unless
// batch_size fixes those) and recomputed layers: first each alone, then two of them, and so on;
// none of them rounds anything. Then the same on a base that is rounded, to bf16, int8, int4; then
// shorter rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "arch/model_config.h"
#include "arch/weight_inventory.h"
#include "recipe/recipe.h"

namespace lmoe::train {

/// What is missing, the first settings that help and what they need; empty when it fits or
/// `available` is 0 (unknown). `weights` as for `forecast_memory`.
std::string memory_shortage(const recipe::Recipe& recipe,
                            const arch::ModelConfig& config,
                            int64_t dtype_bytes,
                            int64_t available,
                            const std::optional<arch::WeightInventory>& weights = {});

/// Throws kOutOfMemory with `memory_shortage`, if there is one.
void check_memory(const recipe::Recipe& recipe,
                  const arch::ModelConfig& config,
                  int64_t dtype_bytes,
                  int64_t available,
                  const std::optional<arch::WeightInventory>& weights = {});

}  // namespace lmoe::train
