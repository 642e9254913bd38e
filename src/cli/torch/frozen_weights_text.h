// What frozen_weights saves and whether it changes results, in a line.
#pragma once

#include <string>

#include "arch/weight_inventory.h"

namespace lmoe::cli {

/// "file, 84.4MB instead of 538MB; the same results as dense". `element_bytes` of what is computed
/// in.
std::string frozen_weights_text(arch::FrozenWeights frozen,
                                const arch::WeightInventory& weights,
                                int64_t element_bytes);

}  // namespace lmoe::cli
