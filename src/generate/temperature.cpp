#include "generate/temperature.h"

namespace lmoe::generate {

void Temperature::process(std::span<float> logits, std::span<const text::TokenId> /*history*/) {
  for (float& logit : logits) logit = static_cast<float>(logit / temperature_);
}

}  // namespace lmoe::generate
