#include "generate/generation.h"

namespace lmoe::generate {

std::span<const EnumName<FinishReason>> enum_names(FinishReason) {
  static constexpr EnumName<FinishReason> kNames[] = {
      {"eos", FinishReason::kEos},
      {"stop", FinishReason::kStop},
      {"length", FinishReason::kLength},
      {"context", FinishReason::kContext},
      {"cancelled", FinishReason::kCancelled},
  };
  return kNames;
}

}  // namespace lmoe::generate
