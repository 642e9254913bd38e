// The loop that makes text: prefill, sample, detokenise, stop, for one prompt or many at once.
//
//   Generator generator(model, tokenizer);
//   Generation answer = generator.run({.prompt = ids, .options = options},
//                                     {.on_text = [](size_t, std::string_view s) { … }});
//
// Many prompts run in a batch whose finished slots are refilled at once, so the batch stays full.
// A batch gives the same as its rows one by one, as far as the model does.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "decode/step_model.h"
#include "generate/generate_options.h"
#include "generate/generation.h"
#include "generate/sequence_cache.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

struct GenerateRequest {
  std::vector<text::TokenId> prompt;  ///< 1 to max_positions ids
  GenerateOptions options;
  bool want_routing = false;
  /// A chat's sequence, reused and left open. Null: one of its own. No two requests of a batch may
  /// share one.
  SequenceCache* cache = nullptr;
  Passages passages = {};  ///< of the prompt; the answer sees them all
};

struct GenerateHooks {
  /// New text of a request, whole characters, in order. Concatenated it is Generation::text.
  std::function<void(size_t request, std::string_view text)> on_text;
  std::function<void(size_t request, const Generation& generation)> on_finish;
  /// Asked before every step; true ends all requests with what they have.
  std::function<bool()> is_cancelled;
};

struct BatchOptions {
  int64_t max_sequences = 32;  ///< sequences in flight
  /// Most ids fed in one step. Longer prompts go in parts, so a long one does not stall the others.
  int64_t max_step_tokens = 1024;
};

class Generator {
 public:
  /// `model` and `tokenizer` must outlive this. Throws kInvalidArgument for batch options below 1.
  Generator(decode::StepModel& model, const text::Tokenizer& tokenizer, BatchOptions batch = {});

  Generation run(const GenerateRequest& request, const GenerateHooks& hooks = {});
  /// One generation per request, in their order. Everything is checked before the first step;
  /// throws kInvalidArgument naming the request: empty or too long prompt, ids outside the
  /// vocabulary, options out of range. Errors of the model pass through after all sequences were
  /// closed.
  std::vector<Generation> run_batch(std::span<const GenerateRequest> requests,
                                    const GenerateHooks& hooks = {});

 private:
  void check(std::span<const GenerateRequest> requests) const;

  decode::StepModel& model_;
  const text::Tokenizer& tokenizer_;
  BatchOptions batch_;
};

}  // namespace lmoe::generate
