// Work that every worker does and that fails in all of them when it fails in one.
//
//   all_or_none(group, [&] { data = read_data(); });
//   by_first(group, [&] { write_checkpoint(); });       // nobody goes on without the checkpoint
//   told_by_first(group, [&] { check_finite(loss); });  // the same number in every worker
#pragma once

#include <exception>
#include <functional>

#include "distributed/process_group.h"

namespace lmoe::distributed {

/// Another worker has failed and says why: this one has nothing to say.
class FailedElsewhere : public std::exception {
 public:
  explicit FailedElsewhere(int exit_code) : exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }
  const char* what() const noexcept override { return "[distributed] another worker has failed"; }

 private:
  int exit_code_;
};

/// Returns when `work`, which must not use the group, is done in all workers. When it threw in
/// some, the first of these throws its own error and all others FailedElsewhere with that error's
/// exit code.
void all_or_none(ProcessGroup& group, const std::function<void()>& work);

/// The same for work of the first worker, for which the others wait.
void by_first(ProcessGroup& group, const std::function<void()>& work);

/// For work that has the same outcome in all workers; nobody waits. The first one throws its own
/// lmoe::Error, the others FailedElsewhere.
void told_by_first(const ProcessGroup& group, const std::function<void()>& work);

}  // namespace lmoe::distributed
