// Counts records within one phase and tells the hooks; checks for cancellation.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "eval/eval_options.h"

namespace lmoe::eval {

class Progress {
 public:
  Progress(const EvalHooks& hooks, std::string task, std::string phase, int64_t total)
      : hooks_(hooks), state_{std::move(task), std::move(phase), 0, total} {
    tell();
  }

  void add(int64_t count) {
    state_.done += count;
    tell();
  }
  bool is_cancelled() const { return hooks_.is_cancelled && hooks_.is_cancelled(); }
  /// Throws kInterrupted when the caller wants no more.
  void check_cancelled() const {
    if (is_cancelled())
      fail(ErrorCode::kInterrupted, "[eval] interrupted in task ", state_.task, ", ", state_.phase,
           ", after ", state_.done, " of ", state_.total, " records");
  }

 private:
  void tell() const {
    if (hooks_.on_progress) hooks_.on_progress(state_);
  }

  const EvalHooks& hooks_;
  EvalProgress state_;
};

}  // namespace lmoe::eval
