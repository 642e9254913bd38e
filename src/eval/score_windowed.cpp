#include "eval/score_windowed.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lmoe::eval {
namespace {

constexpr float kImpossible = -9999.0F;

struct Window {
  size_t sequence;
  size_t begin;
  size_t length;
  bool is_last;
};

void check_ids(const std::vector<int32_t>& ids, int64_t vocab_size) {
  LMOE_CHECK_ARG(!ids.empty(), "[score] there is no token to score");
  for (const int32_t id : ids)
    LMOE_CHECK_ARG(id >= 0 && id < vocab_size, "[score] id outside the vocabulary: given ", id,
                   ", expected 0 to ", vocab_size - 1);
}

std::vector<Window> plan_windows(std::span<const std::vector<int32_t>> sequences,
                                 size_t max_positions,
                                 size_t stride) {
  std::vector<Window> windows;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const size_t size = sequences[s].size();
    for (size_t begin = 0;; begin += stride) {
      const size_t length = std::min(max_positions, size - begin);
      const bool is_last = begin + length == size;
      windows.push_back({s, begin, length, is_last});
      if (is_last) break;
    }
  }
  return windows;
}

/// Takes over what `result` does not have yet.
void append(decode::ScoredSequence& result,
            const decode::ScoredSequence& scored,
            const Window& window) {
  LMOE_ASSERT(scored.logprobs.size() + 1 == window.length);
  const size_t known = result.logprobs.size() - std::min(result.logprobs.size(), window.begin);
  for (size_t i = known; i < scored.logprobs.size(); ++i) {
    const float logprob = scored.logprobs[i];
    if (std::isnan(logprob))
      fail(ErrorCode::kDiverged, "[score] the model gave NaN for token ", window.begin + i + 1,
           "; its weights may come from a run that diverged");
    result.logprobs.push_back(std::max(logprob, kImpossible));
    result.is_greedy.push_back(scored.is_greedy[i]);
  }
}

}  // namespace

std::vector<decode::ScoredSequence> score_windowed(decode::StepModel& model,
                                                   std::span<const std::vector<int32_t>> sequences,
                                                   const WindowOptions& options,
                                                   const std::function<void(int64_t)>& on_scored) {
  const int64_t max_positions = model.max_positions();
  const int64_t stride =
      options.stride > 0 ? options.stride : std::max<int64_t>(1, max_positions / 2);
  LMOE_CHECK_ARG(options.stride >= 0 && stride < max_positions,
                 "[score] stride is out of range: given ", options.stride, ", expected 1 to ",
                 max_positions - 1, " (the model's positions, less one), or 0");
  for (const auto& ids : sequences) check_ids(ids, model.vocab_size());
  for (size_t s = 0; s < options.parts.passages.size(); ++s)
    LMOE_CHECK_ARG(
        options.parts.passages[s].empty() || std::ssize(sequences[s]) <= max_positions,
        "[score] a sequence with passages cannot be read in windows, which would part them: given ",
        sequences[s].size(), " tokens, expected at most ", max_positions,
        " (the model's positions)");

  std::vector<decode::ScoredSequence> results(sequences.size());
  const auto windows =
      plan_windows(sequences, static_cast<size_t>(max_positions), static_cast<size_t>(stride));
  for (size_t next = 0; next < windows.size();) {
    std::vector<std::vector<int32_t>> batch;
    std::vector<int64_t> batch_prompts;
    std::vector<Passages> batch_passages;
    const size_t first = next;
    int64_t tokens = 0;
    for (; next < windows.size(); ++next) {
      const Window& window = windows[next];
      tokens += static_cast<int64_t>(window.length);
      if (!batch.empty() && tokens > options.max_tokens_per_call) break;
      const auto begin = sequences[window.sequence].begin() + static_cast<ptrdiff_t>(window.begin);
      batch.emplace_back(begin, begin + static_cast<ptrdiff_t>(window.length));
      if (!options.parts.passages.empty())
        batch_passages.push_back(options.parts.passages[window.sequence]);
      if (!options.parts.prompts.empty())
        batch_prompts.push_back(std::max<int64_t>(
            0, options.parts.prompts[window.sequence] - static_cast<int64_t>(window.begin)));
    }
    const auto scored = model.score(batch, {.prompts = batch_prompts, .passages = batch_passages});
    LMOE_ASSERT(scored.size() == batch.size());
    int64_t completed = 0;
    for (size_t i = 0; i < scored.size(); ++i) {
      append(results[windows[first + i].sequence], scored[i], windows[first + i]);
      completed += windows[first + i].is_last ? 1 : 0;
    }
    if (on_scored) on_scored(completed);
  }
  return results;
}

}  // namespace lmoe::eval
