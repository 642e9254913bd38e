#include "train/loss_guard.h"

#include <cmath>

#include "base/error.h"

namespace lmoe::train {

void LossGuard::check_finite(const char* what,
                             double value,
                             int64_t step,
                             const std::string& where) {
  if (std::isfinite(value)) return;
  fail(ErrorCode::kDiverged, "[train] step ", step, ": the ", what, " is ", value, " (", where,
       "); nothing was changed in this step; hint: a lower learning_rate or max_grad_norm");
}

void LossGuard::watch(double loss, int64_t step) {
  if (!threshold_) return;
  count_ = loss > *threshold_ ? count_ + 1 : 0;
  if (count_ < patience_) return;
  fail(ErrorCode::kDiverged, "[train] step ", step, ": the loss was above loss_watchdog_threshold ",
       *threshold_, " for ", count_, " steps, now ", loss, "; hint: a lower learning_rate");
}

}  // namespace lmoe::train
