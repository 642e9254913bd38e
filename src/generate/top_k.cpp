#include "generate/top_k.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace lmoe::generate {

void TopK::process(std::span<float> logits, std::span<const text::TokenId> /*history*/) {
  if (k_ >= static_cast<int64_t>(logits.size())) return;
  std::vector<float> sorted(logits.begin(), logits.end());
  const auto kth = sorted.begin() + (k_ - 1);
  std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
  for (float& logit : logits)
    if (logit < *kth) logit = -std::numeric_limits<float>::infinity();
}

}  // namespace lmoe::generate
