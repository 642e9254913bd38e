// Keeps the k most likely tokens, and those equal to the k-th.
#pragma once

#include "generate/logits_processor.h"

namespace lmoe::generate {

class TopK : public LogitsProcessor {
 public:
  explicit TopK(int64_t k) : k_(k) {}
  void process(std::span<float> logits, std::span<const text::TokenId> history) override;

 private:
  int64_t k_;
};

}  // namespace lmoe::generate
