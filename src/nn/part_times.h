// Where the time of a step goes. Scopes stand around the large pieces of work; they report to the
// PartTimes that listens in their thread, and cost next to nothing when none does.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace lmoe::nn {

/// kFrozenGemm: products with weights of the base but the lm_head. kAdapterGemm: products with
/// experts' factors and what stands between them. kAttention: scores, softmax and values. kLoss:
/// lm_head and cross-entropy, which makes its gradient in the forward.
enum class Part { kFrozenGemm, kAdapterGemm, kAttention, kLoss };
enum class Direction { kForward, kBackward };

/// Listens from construction to destruction; one at a time per thread.
class PartTimes {
 public:
  PartTimes();
  ~PartTimes();
  PartTimes(const PartTimes&) = delete;
  PartTimes& operator=(const PartTimes&) = delete;

  double seconds(Part part, Direction direction) const { return seconds_[place(part, direction)]; }

 private:
  friend class PartScope;
  static constexpr size_t kParts = 4;
  static size_t place(Part part, Direction direction) {
    return 2 * static_cast<size_t>(part) + static_cast<size_t>(direction);
  }
  std::array<double, 2 * kParts> seconds_{};
};

/// Adds the time it lives to its part. Scopes do not nest.
class PartScope {
 public:
  PartScope(Part part, Direction direction);
  ~PartScope();
  PartScope(const PartScope&) = delete;
  PartScope& operator=(const PartScope&) = delete;

 private:
  double* seconds_ = nullptr;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace lmoe::nn
