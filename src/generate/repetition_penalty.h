// Tokens that occurred before lose: positive logits are divided by the penalty, negative multiplied
// (Keskar et al. 2019). Each token counts once, however often it occurred.
#pragma once

#include "generate/logits_processor.h"

namespace lmoe::generate {

class RepetitionPenalty : public LogitsProcessor {
 public:
  explicit RepetitionPenalty(double penalty) : penalty_(penalty) {}
  void process(std::span<float> logits, std::span<const text::TokenId> history) override;

 private:
  double penalty_;
  std::vector<bool> seen_;
};

}  // namespace lmoe::generate
