// Training as a person watches it: one line that changes, plain lines
// elsewhere, and what stays.
#pragma once

#include <optional>
#include <string>

#include "cli/terminal.h"
#include "train/trainer.h"

namespace lmoe::cli {

/// "loss 1.834 lr 1.9e-04 tok/s 812 trained_tokens 98304 peak_mem 1.42GB grad
/// 0.81 entropy 1.21 load 1.34"
std::string step_text(const train::StepReport& report);

class TrainProgress {
 public:
  void on_event(const train::TrainEvent& event);
  /// Between kValidating and kValidated, in rows.
  void on_validation(int64_t done, int64_t total);

 private:
  std::optional<Progress> progress_;
  std::optional<Progress> pause_;  ///< validating or saving
};

}  // namespace lmoe::cli
