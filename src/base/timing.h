// Timing a piece of work again and again.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace lmoe {

/// Wall time of `work()`, in seconds.
template <class Work>
double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Of two in the middle the greater; `values` holds at least one.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace lmoe
