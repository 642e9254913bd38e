// Tensors that travel together as one flat buffer.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "distributed/process_group.h"

namespace lmoe::distributed {

/// Large enough that the time of a message hardly counts, small enough that several are under way.
inline constexpr int64_t kBucketBytes = 4 << 20;

class Bucket {
 public:
  /// For values like these, of one type; `first` is the position of the first one among all. Takes
  /// the memory for them.
  Bucket(size_t first, std::span<const at::Tensor> like);
  /// Waits for sums that nobody has asked for: what travels must stay in place.
  ~Bucket();
  Bucket(Bucket&& other) noexcept;
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;
  Bucket& operator=(Bucket&&) = delete;

  /// Adds the values up over all workers from here on; one that is undefined is zero. When it
  /// throws, nothing has started.
  void start(ProcessGroup& group, std::span<const at::Tensor> values);
  /// Returns when the sums are there.
  void wait();
  /// Those of the i-th of its values, in its shape.
  const at::Tensor& sums(size_t i) const { return parts_[i]; }

  size_t first() const { return first_; }
  size_t count() const { return parts_.size(); }

 private:
  size_t first_;
  at::Tensor flat_;
  std::vector<at::Tensor> parts_;  ///< of `flat_`
  std::function<void()> wait_;     ///< while it travels
};

/// Tensors of one type that follow each other and together have at most `bytes`, or one larger one.
std::vector<Bucket> make_buckets(const std::vector<at::Tensor>& tensors, int64_t bytes);

}  // namespace lmoe::distributed
