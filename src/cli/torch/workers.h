// The processes that train one run together: those that torchrun has started, or this one alone.
#pragma once

#include <functional>
#include <memory>

#include "distributed/process_group.h"

namespace lmoe::cli {

class Workers {
 public:
  /// Joins those that the environment names. Several on one machine share its cores out, and all
  /// but the first are quiet. Throws kInvalidArgument, kIo.
  Workers();

  distributed::ProcessGroup& group() { return group_ ? *group_ : distributed::alone(); }
  /// How many of them are on this machine.
  int local_size() const { return local_size_; }

 private:
  std::unique_ptr<distributed::ProcessGroup> group_;  ///< none of one worker
  int local_size_ = 1;
};

/// The exit code of `work`, or of the worker that failed and told why.
int with_workers(const std::function<int(Workers&)>& work);

}  // namespace lmoe::cli
