// Losses on what routers decide: `losses` of the mixture grammar.
#pragma once

#include <cstdint>
#include <span>

#include "base/options.h"
#include "spec/entropy_spec.h"

namespace lmoe::spec {

/// What is measured at a gate; formulas and ranges in mixture/balance_loss.h. kCv2, kSwitch, kKl:
/// l-moe.md. kTopKSwitch: MixLoRA's and Mixtral's code. kTopKShare: MoLA's code. kSoftSwitch,
/// kEntropy: DynMoLE's code. kImportance: Shazeer et al. 2017. kZ: ST-MoE.
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
};
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

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "what is measured"));
    visit(field("coef", coef, "its coefficient; below 0 rewards entropy").range(-1e3, 1e3));
    visit(field("over", over, "how the gates' values become one"));
    visit(field("entropy", entropy, "which entropy, with kind entropy"));
  }
};

}  // namespace lmoe::spec
