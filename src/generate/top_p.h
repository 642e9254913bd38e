// Nucleus sampling (Holtzman et al. 2019): keeps the fewest most likely tokens whose probabilities
// sum to at least top_p.
#pragma once

#include "generate/logits_processor.h"

namespace lmoe::generate {

class TopP : public LogitsProcessor {
 public:
  explicit TopP(double top_p) : top_p_(top_p) {}
  void process(std::span<float> logits, std::span<const text::TokenId> history) override;

 private:
  double top_p_;
};

}  // namespace lmoe::generate
