// Kernels on each instruction set this processor has, over values of each stored type, against
// formulas in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/stored_types.h"
#include "kernels/target.h"

namespace lmoe::kernels::test {

template <class Body>
void on_every_target(const Body& body) {
  for (const std::string& name : runnable_targets()) {
    SCOPED_TRACE(name);
    choose_target(name);
    body();
  }
  choose_target(runnable_targets().front());
}

/// Two vectors of any instruction set with everything in between, and a few more.
inline constexpr int64_t kLongest = 67;

inline double value_of(float value) { return value; }
inline double value_of(double value) { return value; }
inline double value_of(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

template <class T>
T rounded(double value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    if (std::isnan(value)) return {0x7FC0};
    return {static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
  } else {
    return static_cast<T>(value);
  }
}

/// What a result may differ from the exact one, relative to the largest value.
template <class T>
constexpr double tolerance() {
  return std::is_same_v<T, double> ? 1e-14 : std::is_same_v<T, float> ? 1e-6 : 1.0 / 256;
}

/// Memory of exactly `count` values, so that the sanitizer sees one that is read beyond.
template <class T>
std::vector<T> random_values(int64_t count, uint64_t seed, double scale = 1.0) {
  Rng rng(seed);
  std::vector<T> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(rounded<T>(scale * rng.normal()));
  return values;
}

template <class T>
std::vector<double> wide(std::span<const T> values) {
  std::vector<double> result;
  for (const T value : values) result.push_back(value_of(value));
  return result;
}
template <class T>
std::vector<double> wide(const std::vector<T>& values) {
  return wide(std::span<const T>(values));
}

/// `count` values at an odd place, with others before and behind that nobody may write to.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t count) : Guarded(std::vector<T>(static_cast<size_t>(count))) {}
  explicit Guarded(const std::vector<T>& values)
      : count_(std::ssize(values)), memory_(kBefore, marker()) {
    memory_.insert(memory_.end(), values.begin(), values.end());
    memory_.insert(memory_.end(), kBehind, marker());
  }
  T* data() { return memory_.data() + kBefore; }

  /// What a kernel left there. Fails the test if it wrote elsewhere.
  std::vector<double> result() {
    for (int64_t i = 0; i < std::ssize(memory_); ++i) {
      if (i < kBefore || i >= kBefore + count_) {
        EXPECT_EQ(value_of(memory_[static_cast<size_t>(i)]), value_of(marker()))
            << "place " << i - kBefore << " of " << count_;
      }
    }
    return wide(std::span<const T>(data(), static_cast<size_t>(count_)));
  }

 private:
  static constexpr int64_t kBefore = 3, kBehind = 40;
  static T marker() { return rounded<T>(-12345.0); }
  int64_t count_;
  std::vector<T> memory_;
};

/// `largest` is at least the largest of `expected`; more where they are differences of larger
/// terms.
inline void expect_near(const std::vector<double>& got,
                        const std::vector<double>& expected,
                        double allowed,
                        double largest = 0) {
  ASSERT_EQ(got.size(), expected.size());
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::abs(got[i] - expected[i]), allowed * largest)
        << "value " << i << " of " << got.size() << ": " << got[i] << ", not " << expected[i];
}

using StoredTypes = testing::Types<float, BFloat16, double>;
using ComputedTypes = testing::Types<float, double>;

}  // namespace lmoe::kernels::test
