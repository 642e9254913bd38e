// Divides the logits by a temperature above 0.
#pragma once

#include "generate/logits_processor.h"

namespace lmoe::generate {

class Temperature : public LogitsProcessor {
 public:
  explicit Temperature(double temperature) : temperature_(temperature) {}
  void process(std::span<float> logits, std::span<const text::TokenId> history) override;

 private:
  double temperature_;
};

}  // namespace lmoe::generate
