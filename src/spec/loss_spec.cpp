#include "spec/loss_spec.h"

namespace lmoe::spec {

std::span<const EnumName<BalanceLoss>> enum_names(BalanceLoss) {
  static constexpr EnumName<BalanceLoss> kNames[] = {
      {"cv2", BalanceLoss::kCv2},
      {"switch", BalanceLoss::kSwitch},
      {"kl", BalanceLoss::kKl},
      {"topk_switch", BalanceLoss::kTopKSwitch},
      {"topk_share", BalanceLoss::kTopKShare},
      {"soft_switch", BalanceLoss::kSoftSwitch},
      {"importance", BalanceLoss::kImportance},
      {"entropy", BalanceLoss::kEntropy},
      {"z", BalanceLoss::kZ},
      {"localized", BalanceLoss::kLocalized},
      {"localized_paper", BalanceLoss::kLocalizedPaper},
      {"task_cross_entropy", BalanceLoss::kTaskCrossEntropy},
  };
  return kNames;
}

std::span<const EnumName<LossOver>> enum_names(LossOver) {
  static constexpr EnumName<LossOver> kNames[] = {
      {"gates_mean", LossOver::kGatesMean},
      {"gates_sum", LossOver::kGatesSum},
      {"pooled", LossOver::kPooled},
      {"layers_pooled_sum", LossOver::kLayersPooledSum},
  };
  return kNames;
}

}  // namespace lmoe::spec
