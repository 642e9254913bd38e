#include "generate/min_p.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lmoe::generate {

void MinP::process(std::span<float> logits, std::span<const text::TokenId> /*history*/) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  const double least = largest + std::log(min_p_);
  for (float& logit : logits)
    if (logit < least) logit = -std::numeric_limits<float>::infinity();
}

}  // namespace lmoe::generate
