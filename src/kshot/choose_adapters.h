// Which adapters of a bank a mixture begins with: good ones that differ (arXiv 2408.15915).
//
//   const auto ranks = rank_adapters(scores);                       // of the whole bank
//   const auto few = preselect(ranks, 8);
//   const auto subsets = rank_subsets(ranks, few, cosines, 4);      // the first one is the choice
//
// All ranks start at 1; of equals the one that comes first has the lower rank.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kshot/adapter_score.h"

namespace lmoe::kshot {

struct AdapterRanks {
  int64_t perplexity = 0;  ///< 1: the lowest
  int64_t accuracy = 0;    ///< 1: the highest
  int64_t sum() const { return perplexity + accuracy; }
};

/// Positions in the bank, ascending.
using Members = std::vector<int64_t>;

struct Subset {
  Members members;
  double mean_cosine = 0.0;  ///< over all pairs
  int64_t rank_sum = 0;      ///< of its members' ranks
  /// 1: the lowest mean cosine. The paper ranks by 1 / mean from above, which is the same order
  /// for positive means and says nothing sensible for others.
  int64_t diversity_rank = 0;
  int64_t total() const { return rank_sum + diversity_rank; }
};

/// More subsets than these are refused.
inline constexpr int64_t kMostSubsets = 1'000'000;

std::vector<AdapterRanks> rank_adapters(std::span<const AdapterScore> scores);

/// The `count` adapters with the smallest sums of ranks. Throws kInvalidArgument unless
/// 1 <= count <= adapters.
Members preselect(std::span<const AdapterRanks> ranks, int64_t count);

/// Throws kInvalidArgument unless 2 <= size <= candidates, and for more than kMostSubsets.
void check_subset_size(int64_t candidates, int64_t size);

/// Every subset of `size` candidates, the smallest total first; of equals the one whose members
/// come first. `cosines[i][j]` is that of candidates i and j. Throws as check_subset_size.
std::vector<Subset> rank_subsets(std::span<const AdapterRanks> ranks,
                                 const Members& candidates,
                                 const std::vector<std::vector<double>>& cosines,
                                 int64_t size);

}  // namespace lmoe::kshot
