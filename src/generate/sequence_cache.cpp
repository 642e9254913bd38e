#include "generate/sequence_cache.h"

#include <algorithm>

namespace lmoe::generate {

SequenceCache::SequenceCache(decode::StepModel& model)
    : model_(model), id_(model.open_sequence()) {}

SequenceCache::~SequenceCache() { model_.close_sequence(id_); }

int64_t SequenceCache::begin(std::span<const text::TokenId> prompt, const Passages& passages) {
  const auto shared =
      std::mismatch(ids_.begin(), ids_.end(), prompt.begin(), prompt.end()).second - prompt.begin();
  int64_t kept =
      std::max<int64_t>(0, std::min<int64_t>(shared, static_cast<int64_t>(prompt.size()) - 1));
  while (passages_within(passages, 0, kept) != passages_within(passages_, 0, kept)) --kept;
  if (kept < prompt_ && model_.decides_by_prompt()) kept = 0;
  if (kept == 0 || kept < prompt_) prompt_ = std::ssize(prompt);
  // Even when nothing is dropped: a step that failed may have left more in the model than was
  // noted.
  model_.truncate_sequence(id_, kept);
  ids_.resize(static_cast<size_t>(kept));
  passages_ = passages;
  return kept;
}

void SequenceCache::fed(std::span<const text::TokenId> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

}  // namespace lmoe::generate
