// The workers of one run, as each of them sees the others.
//
//   ProcessGroup& group = …;
//   group.sum(gradient);                       // every worker: the same sums in the same order
//   if (group.is_first()) write_checkpoint();
//
// Sums have the same bits in every worker. A worker that ends or cannot be reached for
// `kPatience` makes every call of the others throw WorkerLost.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace lmoe::distributed {

/// How long a worker waits for another one: PyTorch's default. Longer than any checkpoint takes.
inline constexpr std::chrono::minutes kPatience{30};

/// Another worker was killed, ended or is out of reach. kIo.
class WorkerLost : public Error {
 public:
  explicit WorkerLost(const std::string& message) : Error(ErrorCode::kIo, message) {}
};

class ProcessGroup {
 public:
  ProcessGroup(int rank, int size) : rank_(rank), size_(size) {}
  virtual ~ProcessGroup() = default;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }  ///< 0 to size - 1
  int size() const { return size_; }
  /// The one that writes files and talks.
  bool is_first() const { return rank_ == 0; }

  /// Begins to add `flat` ([N], contiguous, float32 or float64) up over all workers, in place.
  /// What it returns waits for the end and must be called, before `flat` is touched again.
  virtual std::function<void()> start_sum(at::Tensor flat) = 0;
  /// Fills `flat` ([N], contiguous) with what the first worker has in it.
  virtual void broadcast(at::Tensor flat) = 0;

  void sum(const at::Tensor& flat) { start_sum(flat)(); }
  void sum(std::vector<double>& numbers);
  /// What the first worker gives.
  std::string broadcast_text(const std::string& text);

 private:
  int rank_, size_;
};

/// The group of one worker.
ProcessGroup& alone();

}  // namespace lmoe::distributed
