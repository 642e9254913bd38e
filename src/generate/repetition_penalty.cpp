#include "generate/repetition_penalty.h"

namespace lmoe::generate {

void RepetitionPenalty::process(std::span<float> logits, std::span<const text::TokenId> history) {
  seen_.assign(logits.size(), false);
  for (const text::TokenId id : history) {
    const auto index = static_cast<size_t>(id);
    if (index >= logits.size() || seen_[index]) continue;
    seen_[index] = true;
    float& logit = logits[index];
    logit = static_cast<float>(logit < 0 ? logit * penalty_ : logit / penalty_);
  }
}

}  // namespace lmoe::generate
