// A small, portable, copyable random number generator (xoshiro256**), the same on every machine.
//
// The state is four words, so a checkpoint can keep it and a resumed run goes on with the same
// draws.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

namespace lmoe {

class Rng {
 public:
  using State = std::array<uint64_t, 4>;

  /// Streams with different `stream` numbers are independent for the same seed.
  explicit Rng(uint64_t seed, uint64_t stream = 0);

  uint64_t next();
  /// Uniform in [0, bound); `bound` > 0. Unbiased.
  uint64_t below(uint64_t bound);
  /// Uniform in [0, 1) with 53 random bits.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller, no cached second value, so the state says everything).
  double normal();

  template <class T>
  void shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  State state_;
};

}  // namespace lmoe
