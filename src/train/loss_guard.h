// Stops a run that goes wrong: a loss or gradient that is not finite, or a loss that stays too
// high.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "recipe/run_options.h"

namespace lmoe::train {

class LossGuard {
 public:
  explicit LossGuard(const recipe::RunOptions& options)
      : threshold_(options.loss_watchdog_threshold), patience_(options.loss_watchdog_patience) {}

  /// `what` is "loss" or "gradient norm", `where` names micro-batch and records. Throws kDiverged.
  static void check_finite(const char* what, double value, int64_t step, const std::string& where);

  /// Throws kDiverged when the loss was above the threshold for `patience` steps in a row.
  void watch(double loss, int64_t step);

  /// Steps in a row above the threshold so far; part of a checkpoint.
  int64_t count() const { return count_; }
  void set_count(int64_t count) { count_ = count; }

 private:
  std::optional<double> threshold_;
  int64_t patience_;
  int64_t count_ = 0;
};

}  // namespace lmoe::train
