#include "eval/choice.h"

#include <algorithm>

#include "eval/progress.h"
#include "eval/score_windowed.h"

namespace lmoe::eval {
namespace {

/// Prompt and choice, as many of the prompt's last ids as fit.
std::vector<text::TokenId> join(const EvalTask& task,
                                const EvalItem& item,
                                size_t choice,
                                int64_t max_positions,
                                bool& truncated) {
  const auto& continuation = item.choices[choice];
  const int64_t room = max_positions - std::ssize(continuation);
  LMOE_CHECK_ARG(room >= 1, "[eval] task ", task.name, ", record ", item.line, ": choice ", choice,
                 " is too long: given ", continuation.size(), " tokens, expected fewer than ",
                 max_positions, " (the model's positions)");
  const int64_t kept = std::min<int64_t>(room, std::ssize(item.prompt));
  LMOE_CHECK_ARG(kept == std::ssize(item.prompt) || item.prompt_passages.empty(), "[eval] task ",
                 task.name, ", record ", item.line,
                 ": a prompt with passages cannot be cut: given ", item.prompt.size(),
                 " tokens, expected at most ", room, " beside choice ", choice);
  truncated = truncated || kept < std::ssize(item.prompt);
  std::vector<text::TokenId> ids(item.prompt.end() - kept, item.prompt.end());
  ids.insert(ids.end(), continuation.begin(), continuation.end());
  return ids;
}

double tail_sum(const decode::ScoredSequence& scored, size_t count) {
  double sum = 0.0;
  for (size_t i = scored.logprobs.size() - count; i < scored.logprobs.size(); ++i)
    sum += scored.logprobs[i];
  return sum;
}

bool best_is(const std::vector<double>& values, int64_t label) {
  return std::max_element(values.begin(), values.end()) - values.begin() == label;
}

}  // namespace

TaskScore measure_choice(const EvalContext& context,
                         const EvalTask& task,
                         const std::string& phase) {
  Progress progress(context.hooks, task.name, phase, std::ssize(task.items));
  TaskScore score;
  double acc = 0.0;
  double acc_norm = 0.0;
  int64_t truncated = 0;
  // A few records per call: enough to fill the model, few enough to show progress and to stop.
  constexpr size_t kRecordsPerCall = 16;
  for (size_t begin = 0; begin < task.items.size(); begin += kRecordsPerCall) {
    progress.check_cancelled();
    const size_t end = std::min(task.items.size(), begin + kRecordsPerCall);
    std::vector<std::vector<text::TokenId>> sequences;
    std::vector<int64_t> prompts;
    std::vector<Passages> passages;
    for (size_t i = begin; i < end; ++i) {
      bool is_cut = false;
      for (size_t c = 0; c < task.items[i].choices.size(); ++c) {
        sequences.push_back(join(task, task.items[i], c, context.model.max_positions(), is_cut));
        prompts.push_back(std::ssize(sequences.back()) - std::ssize(task.items[i].choices[c]));
        passages.push_back(task.items[i].prompt_passages);
      }
      truncated += is_cut ? 1 : 0;
    }
    const auto scored = score_windowed(context.model, sequences,
                                       {.parts = {.prompts = prompts, .passages = passages}});
    auto next = scored.begin();
    for (size_t i = begin; i < end; ++i) {
      const EvalItem& item = task.items[i];
      std::vector<double> sums;
      std::vector<double> per_byte;
      for (size_t c = 0; c < item.choices.size(); ++c, ++next) {
        sums.push_back(tail_sum(*next, item.choices[c].size()));
        per_byte.push_back(sums.back() /
                           static_cast<double>(std::max<int64_t>(1, item.choice_bytes[c])));
      }
      score.outcomes.push_back({best_is(sums, item.label) ? 1.0 : 0.0, 1.0});
      acc += score.outcomes.back().value;
      acc_norm += best_is(per_byte, item.label) ? 1.0 : 0.0;
    }
    progress.add(static_cast<int64_t>(end - begin));
  }
  const auto n = static_cast<double>(task.items.size());
  score.extra["acc"] = acc / n;
  score.extra["acc_norm"] = acc_norm / n;
  score.extra["truncated"] = truncated;
  return score;
}

}  // namespace lmoe::eval
