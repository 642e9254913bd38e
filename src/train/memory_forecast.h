// Peak memory of a training run, before it starts, from sizes alone: what is kept is counted tensor
// by tensor (train/kept_for_backward.h). `lmoe bench train` prints it beside the peak it measures.
//
//   forecast_memory(recipe, config, 4).text()      for --dry-run
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "arch/model_config.h"
#include "arch/weight_inventory.h"
#include "recipe/recipe.h"

namespace lmoe::train {

struct MemoryForecast {
  int64_t base_bytes = 0;        ///< frozen weights, and what is expanded of them for a product
  int64_t adapter_bytes = 0;     ///< experts and gates with their gradients
  int64_t optimizer_bytes = 0;   ///< two moments; of sgd one or none
  int64_t activation_bytes = 0;  ///< kept for backward, at the full micro-batch
  int64_t loss_bytes = 0;        ///< the loss, or the first steps of backward if that is more
  int64_t cache_bytes = 0;       ///< hidden states that are kept by document, at most; no file
  int64_t runtime_bytes = 0;     ///< the program and its libraries
  int64_t trained_parameters = 0;

  int64_t total() const;
  /// "1.42 GB (base 0.54, adapters 0.06, …)"
  std::string text() const;
};

/// `dtype_bytes` of frozen weights and activations: 4 or 2. `weights`: what the base's file has;
/// else float32 is assumed, which matters for frozen_weights: file.
MemoryForecast forecast_memory(const recipe::Recipe& recipe,
                               const arch::ModelConfig& config,
                               int64_t dtype_bytes,
                               const std::optional<arch::WeightInventory>& weights = {});

/// "1.42"
std::string gigabytes(int64_t bytes);

}  // namespace lmoe::train
