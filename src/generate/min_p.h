// Keeps tokens at least min_p times as probable as the most likely one (Nguyen et al. 2024).
#pragma once

#include "generate/logits_processor.h"

namespace lmoe::generate {

class MinP : public LogitsProcessor {
 public:
  explicit MinP(double min_p) : min_p_(min_p) {}
  void process(std::span<float> logits, std::span<const text::TokenId> history) override;

 private:
  double min_p_;
};

}  // namespace lmoe::generate
