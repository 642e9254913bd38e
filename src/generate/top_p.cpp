#include "generate/top_p.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace lmoe::generate {
namespace {

/// Smallest size first: a nucleus is mostly short, so the vocabulary is rarely sorted whole.
constexpr size_t kFirstGuess = 128;

}  // namespace

void TopP::process(std::span<float> logits, std::span<const text::TokenId> /*history*/) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);

  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto more_likely = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  double kept_mass = 0.0;
  size_t kept = 0;
  size_t sorted = 0;
  while (kept < order.size() && (kept == 0 || kept_mass < top_p_ * sum)) {
    if (kept == sorted) {
      const size_t next = std::min(order.size(), std::max(kFirstGuess, sorted * 4));
      std::partial_sort(order.begin() + static_cast<ptrdiff_t>(sorted),
                        order.begin() + static_cast<ptrdiff_t>(next), order.end(), more_likely);
      sorted = next;
    }
    kept_mass += std::exp(static_cast<double>(logits[order[kept++]]) - largest);
  }
  for (size_t i = kept; i < order.size(); ++i)
    logits[order[i]] = -std::numeric_limits<float>::infinity();
}

}  // namespace lmoe::generate
