#include "cli/torch/frozen_weights_text.h"

#include "base/error.h"
#include "cli/terminal.h"

namespace lmoe::cli {

std::string frozen_weights_text(arch::FrozenWeights frozen,
                                const arch::WeightInventory& weights,
                                int64_t element_bytes) {
  using arch::FrozenWeights;
  const auto text = [&](FrozenWeights as) {
    return bytes_text(static_cast<double>(weights.bytes(as, element_bytes)));
  };
  const int64_t kept = weights.bytes(frozen, element_bytes);
  if (kept >= weights.bytes(FrozenWeights::kDense, element_bytes))
    return concat("dense; ", enum_name(frozen), " would not be smaller than what is computed in");
  const std::string saved =
      concat(enum_name(frozen), ", ", text(frozen), " instead of ", text(FrozenWeights::kDense));
  constexpr int64_t kFloat = 4;
  if (!weights.rounding(frozen, element_bytes))
    return concat(saved, "; the same losses and gradients as dense",
                  element_bytes < kFloat ? " but for how the head's panels are rounded" : "");
  const bool file_is_smaller = weights.bytes(FrozenWeights::kFile, element_bytes) <= kept;
  return concat(saved, "; rounded, so results are those of another base",
                file_is_smaller ? concat("; hint: frozen_weights=file rounds nothing and takes ",
                                         text(FrozenWeights::kFile))
                                : "");
}

}  // namespace lmoe::cli
