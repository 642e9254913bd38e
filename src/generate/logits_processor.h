// Logits processors: small steps between the model's raw logits and the sampler.
//
// A filter sets what it removes to -infinity and always leaves at least one token. Each step is one
// pair of files and one line in processor_chain.cpp.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "generate/sample_options.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

class LogitsProcessor {
 public:
  virtual ~LogitsProcessor() = default;
  /// `logits` [vocab_size] is changed in place. `history` holds the prompt and the answer so far.
  virtual void process(std::span<float> logits, std::span<const text::TokenId> history) = 0;
};

using ProcessorChain = std::vector<std::unique_ptr<LogitsProcessor>>;

/// The steps that `options` call for, in transformers' order: repetition penalty, temperature,
/// top-k, top-p, min-p. With temperature 0 only the penalty can change the result.
ProcessorChain make_processor_chain(const SampleOptions& options);

}  // namespace lmoe::generate
