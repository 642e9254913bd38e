// The learning rate over time: a linear warm-up, then cosine, linear or constant.
#pragma once

#include <cstdint>

#include "recipe/optimizer_options.h"

namespace lmoe::train {

class LrSchedule {
 public:
  LrSchedule(const recipe::OptimizerOptions& options, int64_t total_steps);

  /// Rate of step `step` (0-based). The warm-up has no step of rate 0: it takes
  /// rate x 1/w, 2/w, …, 1; cosine and linear then fall from the peak towards 0, which they would
  /// reach one step after the last.
  double at(int64_t step) const;
  int64_t warmup_steps() const { return warmup_steps_; }

 private:
  recipe::LrScheduler kind_;
  double peak_;
  int64_t total_steps_;
  int64_t warmup_steps_;
};

}  // namespace lmoe::train
