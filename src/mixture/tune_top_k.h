// Measures on this machine what a top-k table says: both forms of the same products, forward and
// backward.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "mixture/top_k_table.h"

namespace lmoe::mixture {

/// What is measured: k 1, 2, 4; rank 2, 8, 32; up and down projections of a small model; 64, 512
/// and 2048 rows. In float32, and in bfloat16 where the processor multiplies it natively.
std::vector<TopKShape> tuned_top_k_shapes(bool with_bf16);

/// Seconds of one forward and backward.
struct TopKTimes {
  double dense = 0.0, selected = 0.0;
};

/// The shortest of several turns of each, taken alternately, with the program's number of threads.
TopKTimes measure_top_k(const TopKShape& shape, int64_t experts);

struct TopKCrossover {
  std::optional<int64_t> experts;         ///< the least for which the dense form was slower
  std::map<int64_t, TopKTimes> measured;  ///< by number of experts, what the search looked at
};

/// By halving: what the dense form takes grows with the experts, what the other one takes hardly.
/// Looks at up to 128 experts.
TopKCrossover find_crossover(const TopKShape& shape,
                             const std::function<TopKTimes(int64_t experts)>& measure);

}  // namespace lmoe::mixture
