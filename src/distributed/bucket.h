// Tensors that travel together as one flat buffer.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "distributed/process_group.h"

namespace lmoe::distributed {

/// Large enough that the time of a message hardly counts, small enough that several are under way.
inline constexpr int64_t kBucketBytes = 4 << 20;

class Bucket {
 public:
  /// Adds the values (contiguous, one type) up over all workers from here on.
  void start(ProcessGroup& group, const std::vector<at::Tensor>& values);
  /// Returns when the sums are there.
  void wait() { wait_(); }
  /// The sums of the value of that many numbers, flat, which begins after `begin` others.
  at::Tensor sums(int64_t begin, int64_t count) const;

  size_t first = 0, count = 0;  ///< positions of its tensors among all

 private:
  at::Tensor flat_;
  std::function<void()> wait_;
};

/// Tensors of one type that follow each other and together have at most `bytes`, or one larger one.
std::vector<Bucket> plan_buckets(const std::vector<at::Tensor>& tensors, int64_t bytes);

}  // namespace lmoe::distributed
