// Losses on what routers decide: `losses` of the mixture grammar.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/options.h"
#include "spec/entropy_spec.h"

namespace lmoe::spec {

/// What is measured at a gate; formulas and ranges in mixture/balance_loss.h. kCv2, kSwitch, kKl:
/// l-moe.md. kTopKSwitch: MixLoRA's and Mixtral's code. kTopKShare: MoLA's code. kSoftSwitch,
/// kEntropy: DynMoLE's code. kImportance: Shazeer et al. 2017. kZ: ST-MoE. kLocalized,
/// kLocalizedPaper: LoRAMoE's code and paper. kTaskCrossEntropy: MeteoRA's code.
enum class BalanceLoss {
  kCv2,
  kSwitch,
  kKl,
  kTopKSwitch,
  kTopKShare,
  kSoftSwitch,
  kImportance,
  kEntropy,
  kZ,
  kLocalized,
  kLocalizedPaper,
  kTaskCrossEntropy,
};

inline bool is_localized(BalanceLoss kind) {
  return kind == BalanceLoss::kLocalized || kind == BalanceLoss::kLocalizedPaper;
}

/// True for losses that need to know which task each document belongs to.
inline bool needs_tasks(BalanceLoss kind) {
  return is_localized(kind) || kind == BalanceLoss::kTaskCrossEntropy;
}

/// From the gates of a model to one number. kGatesMean, kGatesSum: mean or sum of each gate's
/// value. kPooled: all gates' tokens are taken together first (MixLoRA, DynMoLE). kLayersPooledSum:
/// those of each layer, and the layers' values are summed (MoLA).
enum class LossOver { kGatesMean, kGatesSum, kPooled, kLayersPooledSum };

std::span<const EnumName<BalanceLoss>> enum_names(BalanceLoss);
std::span<const EnumName<LossOver>> enum_names(LossOver);

struct LossSpec {
  BalanceLoss kind = BalanceLoss::kCv2;
  double coef = 1e-2;  ///< l-moe.md; sweep {0, 1e-3, 1e-2, 1e-1}; below 0 with `entropy` only
  LossOver over = LossOver::kGatesMean;
  EntropySpec entropy;  ///< with `entropy` only
  /// How many tasks share the experts, each an equal part of them, with `localized`; unset: as many
  /// as the data have.
  std::optional<int64_t> tasks;
  /// LoRAMoE's delta. Its optimum gives experts of a document's own task the (1 - delta) / (1 +
  /// delta)-fold of the others' weight: above 0 as in the source, below 0 more for their own.
  double delta = 0.1;
  bool per_token = false;  ///< divides by the tokens of a document, with `localized`; the source
                           ///< does not, so that documents of different length pull apart
  /// Measured for each group of select.private_experts on its own tokens and the experts it may
  /// choose; the groups' values are summed (moiie.md).
  bool per_group = false;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "what is measured"));
    visit(field("coef", coef, "its coefficient; below 0 rewards entropy").range(-1e3, 1e3));
    visit(field("over", over, "how the gates' values become one"));
    visit(field("entropy", entropy, "which entropy, with kind entropy"));
    visit(field("tasks", tasks, "tasks that share the experts, with localized; default: the data's")
              .range(2, 4096));
    visit(field("delta", delta, "how unequal the tasks' shares are to be, with localized")
              .range(-0.99, 0.99));
    visit(field("per_token", per_token, "long documents count as much as short ones"));
    visit(field("per_group", per_group,
                "measured for each group of private experts on its own tokens, and summed"));
  }
};

}  // namespace lmoe::spec
