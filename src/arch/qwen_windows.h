// Sliding windows of Qwen 2 and 3.
#pragma once

#include "arch/common_config.h"

namespace lmoe::arch {

/// `layer_types`, else the layers from `max_window_layers` on; both only with `use_sliding_window`.
inline std::vector<int64_t> qwen_windows(const HuggingFaceConfig& config, int64_t num_layers) {
  const bool slides = config.boolean("use_sliding_window", false);
  const int64_t missing = config.json().contains("sliding_window") ? 0 : 4096;
  const int64_t window = slides ? config.integer("sliding_window", kLengthRange, missing) : 0;
  std::vector<std::string> types = config.texts("layer_types");
  if (!config.has("layer_types")) {
    const int64_t first = config.integer("max_window_layers", {0, kLengthRange.maximum}, 28);
    for (int64_t layer = 0; layer < num_layers; ++layer)
      types.emplace_back(window > 0 && layer >= first ? "sliding_attention" : "full_attention");
  }
  return windows_of(types, num_layers, window, config.where("layer_types"));
}

}  // namespace lmoe::arch
