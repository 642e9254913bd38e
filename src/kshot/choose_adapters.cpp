#include "kshot/choose_adapters.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace lmoe::kshot {
namespace {

/// Positions 0 … count - 1, the least by `less` first, equals in their order.
template <class Less>
std::vector<size_t> sorted_positions(size_t count, const Less& less) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

/// The next subset of `candidates` positions in lexicographic order; false after the last.
bool advance(std::vector<size_t>& chosen, size_t candidates) {
  for (size_t i = chosen.size(); i-- > 0;) {
    if (chosen[i] == candidates - chosen.size() + i) continue;
    ++chosen[i];
    for (size_t j = i + 1; j < chosen.size(); ++j) chosen[j] = chosen[j - 1] + 1;
    return true;
  }
  return false;
}

double mean_cosine(const std::vector<size_t>& chosen,
                   const std::vector<std::vector<double>>& cosines) {
  double sum = 0.0, pairs = 0.0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    for (size_t j = i + 1; j < chosen.size(); ++j) {
      sum += cosines[chosen[i]][chosen[j]];
      pairs += 1.0;
    }
  }
  return sum / pairs;
}

}  // namespace

std::vector<AdapterRanks> rank_adapters(std::span<const AdapterScore> scores) {
  std::vector<AdapterRanks> ranks(scores.size());
  int64_t rank = 0;
  for (const size_t i : sorted_positions(scores.size(), [&](size_t a, size_t b) {
         return scores[a].log_perplexity < scores[b].log_perplexity;
       }))
    ranks[i].perplexity = ++rank;
  rank = 0;
  for (const size_t i : sorted_positions(scores.size(), [&](size_t a, size_t b) {
         return scores[a].accuracy > scores[b].accuracy;
       }))
    ranks[i].accuracy = ++rank;
  return ranks;
}

Members preselect(std::span<const AdapterRanks> ranks, int64_t count) {
  LMOE_CHECK_ARG(count >= 1 && count <= std::ssize(ranks), "[select] to preselect: given ", count,
                 ", expected 1 to ", ranks.size(), ", the adapters there are");
  std::vector<size_t> order = sorted_positions(
      ranks.size(), [&](size_t a, size_t b) { return ranks[a].sum() < ranks[b].sum(); });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return {order.begin(), order.end()};
}

void check_subset_size(int64_t candidates, int64_t size) {
  LMOE_CHECK_ARG(size >= 2 && size <= candidates, "[select] adapters to choose: given ", size,
                 ", expected 2 to ", candidates, ", as many as are preselected");
  double subsets = 1.0;
  for (int64_t i = 0; i < size; ++i)
    subsets *= static_cast<double>(candidates - i) / static_cast<double>(i + 1);
  LMOE_CHECK_ARG(subsets < static_cast<double>(kMostSubsets) + 0.5, "[select] ", size, " of ",
                 candidates, " adapters are ", subsets, " subsets, expected at most ", kMostSubsets,
                 "; hint: preselect fewer");
}

std::vector<Subset> rank_subsets(std::span<const AdapterRanks> ranks,
                                 const Members& candidates,
                                 const std::vector<std::vector<double>>& cosines,
                                 int64_t size) {
  check_subset_size(std::ssize(candidates), size);
  std::vector<size_t> chosen(static_cast<size_t>(size));
  std::iota(chosen.begin(), chosen.end(), size_t{0});
  std::vector<Subset> subsets;
  do {
    Subset subset{.mean_cosine = mean_cosine(chosen, cosines)};
    for (const size_t i : chosen) {
      subset.members.push_back(candidates[i]);
      subset.rank_sum += ranks[static_cast<size_t>(candidates[i])].sum();
    }
    subsets.push_back(std::move(subset));
  } while (advance(chosen, candidates.size()));

  int64_t rank = 0;
  for (const size_t i : sorted_positions(subsets.size(), [&](size_t a, size_t b) {
         return subsets[a].mean_cosine < subsets[b].mean_cosine;
       }))
    subsets[i].diversity_rank = ++rank;
  std::stable_sort(subsets.begin(), subsets.end(),
                   [](const Subset& a, const Subset& b) { return a.total() < b.total(); });
  return subsets;
}

}  // namespace lmoe::kshot
