// Fills in a StepReport after each step, and keeps the clocks behind its rates and times.
//
//   reporter.begin(state);                                  // the clocks of this process start
//   … one step … reporter.add_step(state, gradients, norm, rate);
//   append_report(log, reporter.report()); reporter.add_line(state);
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "data/row_stream.h"
#include "mixture/mixture.h"
#include "train/gradient_step.h"
#include "train/step_report.h"
#include "train/trainer_state.h"
#include "train/validation.h"

namespace lmoe::train {

class StepReporter {
 public:
  StepReporter(data::RowStream& rows, const mixture::Mixture& mixture, int64_t total_steps)
      : rows_(rows), mixture_(mixture), total_steps_(total_steps) {}

  void begin(const TrainerState& state);
  /// `state` is that after the step; `norm` of its gradients before clipping, `rate` of learning.
  void add_step(const TrainerState& state,
                const GradientResult& gradients,
                double norm,
                double rate);
  void add_validation(const ValidationResult& validation);
  /// After a line of the log: tokens_per_second counts from here on.
  void add_line(const TrainerState& state);

  const StepReport& report() const { return report_; }
  /// Of this process, since `begin`.
  double seconds() const;

 private:
  double epoch();

  data::RowStream& rows_;
  const mixture::Mixture& mixture_;
  int64_t total_steps_;
  StepReport report_;
  std::chrono::steady_clock::time_point begun_, last_line_;
  int64_t first_step_ = 0, tokens_at_last_line_ = 0;
  std::pair<int64_t, int64_t> rows_in_epoch_ = {-1, 0};  ///< epoch, its rows
};

}  // namespace lmoe::train
