// Chooses the next token. One Sampler per sequence: it owns the sequence's random numbers, so a
// sequence gives the same text alone and in a batch.
#pragma once

#include <span>

#include "base/rng.h"
#include "generate/logits_processor.h"
#include "generate/sample_options.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

class Sampler {
 public:
  /// Throws kInvalidArgument for options out of range.
  explicit Sampler(const SampleOptions& options);

  /// `logits` [vocab_size] is used as scratch space. Greedy ties go to the lowest id. Throws
  /// kDiverged for logits that are NaN or have no finite largest value.
  text::TokenId sample(std::span<float> logits, std::span<const text::TokenId> history);

 private:
  bool is_greedy_;
  ProcessorChain chain_;
  Rng rng_;
};

/// The most likely id, the lowest of equals. `logits` must not be empty.
text::TokenId argmax(std::span<const float> logits);

}  // namespace lmoe::generate
