// A sequence of a StepModel that knows which ids it holds, so that the next prompt feeds only what
// is new: a chat's next turn, or prompts that begin alike.
#pragma once

#include <span>
#include <vector>

#include "decode/step_model.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

class SequenceCache {
 public:
  /// Opens a sequence; `model` must outlive this.
  explicit SequenceCache(decode::StepModel& model);
  ~SequenceCache();
  SequenceCache(const SequenceCache&) = delete;
  SequenceCache& operator=(const SequenceCache&) = delete;

  decode::SequenceId id() const { return id_; }
  const std::vector<text::TokenId>& ids() const { return ids_; }
  /// What came before the first answer: a chat's first prompt, as long as it goes on from there.
  int64_t prompt() const { return prompt_; }

  /// Keeps the longest beginning shared with `prompt`, but always less than all of it, because the
  /// last id must be fed to get logits; of another prompt nothing where the model decides by whole
  /// prompts. A beginning is shared when its ids and its passages are. Returns how many ids were
  /// kept.
  int64_t begin(std::span<const text::TokenId> prompt, const Passages& passages = {});
  /// Notes that `ids` were fed.
  void fed(std::span<const text::TokenId> ids);

 private:
  decode::StepModel& model_;
  decode::SequenceId id_;
  std::vector<text::TokenId> ids_;
  Passages passages_;
  int64_t prompt_ = 0;
};

}  // namespace lmoe::generate
