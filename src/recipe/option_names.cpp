#include "recipe/batch_options.h"
#include "recipe/objective_options.h"
#include "recipe/optimizer_options.h"
#include "recipe/run_options.h"

namespace lmoe::recipe {

// The first name of a value is ours; the others are what other tools call it.

std::span<const EnumName<Bf16>> enum_names(Bf16) {
  static constexpr EnumName<Bf16> kNames[] = {
      {"auto", Bf16::kAuto}, {"true", Bf16::kTrue}, {"false", Bf16::kFalse}};
  return kNames;
}

std::span<const EnumName<Objective>> enum_names(Objective) {
  static constexpr EnumName<Objective> kNames[] = {{"language_model", Objective::kLanguageModel},
                                                   {"preference", Objective::kPreference}};
  return kNames;
}

std::span<const EnumName<Optimizer>> enum_names(Optimizer) {
  static constexpr EnumName<Optimizer> kNames[] = {{"adamw", Optimizer::kAdamW},
                                                   {"adamw_torch", Optimizer::kAdamW},
                                                   {"adamw_torch_fused", Optimizer::kAdamW},
                                                   {"sgd", Optimizer::kSgd}};
  return kNames;
}

std::span<const EnumName<LrScheduler>> enum_names(LrScheduler) {
  static constexpr EnumName<LrScheduler> kNames[] = {
      {"cosine", LrScheduler::kCosine},
      {"linear", LrScheduler::kLinear},
      {"constant", LrScheduler::kConstant},
      {"constant_with_warmup", LrScheduler::kConstant}};
  return kNames;
}

std::span<const EnumName<ReportTo>> enum_names(ReportTo) {
  static constexpr EnumName<ReportTo> kNames[] = {{"none", ReportTo::kNone}};
  return kNames;
}

}  // namespace lmoe::recipe
