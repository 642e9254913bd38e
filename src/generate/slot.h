// One request in flight: what it still has to feed, and what becomes of each new token.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "generate/generator.h"
#include "generate/sampler.h"
#include "generate/stop_matcher.h"
#include "text/detokenizer.h"

namespace lmoe::generate {

class Slot {
 public:
  Slot(size_t index,
       const GenerateRequest& request,
       decode::StepModel& model,
       const text::Tokenizer& tokenizer,
       const GenerateHooks& hooks);

  size_t index() const { return index_; }
  bool wants_routing() const { return request_.want_routing; }
  decode::SequenceId sequence() const { return cache_->id(); }
  int64_t prompt() const { return cache_->prompt(); }
  const Passages& passages() const { return request_.passages; }
  /// Ids to feed next: the rest of the prompt, then the newest token. Never empty before the end.
  std::span<const text::TokenId> pending() const { return pending_; }

  /// Takes what a step gave after the first `fed` pending ids. `logits` is scratch afterwards;
  /// `routing` may be null. Returns true when the answer ended.
  bool absorb(size_t fed, std::span<float> logits, decode::TokenRouting* routing);
  /// Ends the answer with what there is and gives it away.
  Generation finish(FinishReason reason);
  Generation take() { return finish(result_.finish_reason); }

 private:
  bool accept(text::TokenId id);
  void emit(const std::string& text);

  size_t index_;
  const GenerateRequest& request_;
  const text::Tokenizer& tokenizer_;
  const GenerateHooks& hooks_;
  int64_t max_positions_;
  std::unique_ptr<SequenceCache> own_cache_;
  SequenceCache* cache_;
  std::vector<text::TokenId> eos_;
  Sampler sampler_;
  text::Detokenizer detokenizer_;
  StopMatcher stop_;
  std::vector<text::TokenId> to_feed_;
  std::span<const text::TokenId> pending_;
  Generation result_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point first_token_;
};

}  // namespace lmoe::generate
