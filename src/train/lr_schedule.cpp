#include "train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lmoe::train {

LrSchedule::LrSchedule(const recipe::OptimizerOptions& options, int64_t total_steps)
    : kind_(options.lr_scheduler), peak_(options.learning_rate), total_steps_(total_steps) {
  const double share = options.warmup_ratio.value_or(0.0) * static_cast<double>(total_steps);
  const int64_t wanted = options.warmup_steps.value_or(static_cast<int64_t>(std::ceil(share)));
  warmup_steps_ = std::min(wanted, total_steps);
}

double LrSchedule::at(int64_t step) const {
  if (step < warmup_steps_)
    return peak_ * static_cast<double>(step + 1) / static_cast<double>(warmup_steps_);
  if (kind_ == recipe::LrScheduler::kConstant || step >= total_steps_) {
    return kind_ == recipe::LrScheduler::kConstant ? peak_ : 0.0;
  }
  const double done =
      static_cast<double>(step - warmup_steps_) / static_cast<double>(total_steps_ - warmup_steps_);
  if (kind_ == recipe::LrScheduler::kLinear) return peak_ * (1.0 - done);
  return peak_ * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

}  // namespace lmoe::train
