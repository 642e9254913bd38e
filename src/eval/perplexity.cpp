#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>

#include "eval/progress.h"
#include "eval/score_windowed.h"

namespace lmoe::eval {
namespace {

int64_t text_bytes(const text::Tokenizer& tokenizer, text::TokenId id) {
  if (id >= tokenizer.vocab_size() || tokenizer.is_special(id)) return 0;
  return std::ssize(tokenizer.token_bytes(id));
}

}  // namespace

TaskScore measure_perplexity(const EvalContext& context,
                             const EvalTask& task,
                             const std::string& phase) {
  Progress progress(context.hooks, task.name, phase, std::ssize(task.items));
  std::vector<std::vector<text::TokenId>> sequences;
  std::vector<int64_t> prompts;
  std::vector<Passages> passages;
  for (const EvalItem& item : task.items) {
    sequences.push_back(item.ids);
    prompts.push_back(item.prompt_length());
    passages.push_back(item.passages);
  }
  const auto scored =
      score_windowed(context.model, sequences,
                     {.parts = {.prompts = prompts, .passages = passages}}, [&](int64_t completed) {
                       progress.add(completed);
                       progress.check_cancelled();
                     });

  TaskScore score;
  int64_t bytes = 0;
  Outcome total{0.0, 0.0};
  for (size_t i = 0; i < task.items.size(); ++i) {
    const EvalItem& item = task.items[i];
    Outcome outcome{0.0, 0.0};
    for (size_t t = 1; t < item.ids.size(); ++t) {
      if (item.labels[t] == data::kIgnoreLabel) continue;
      outcome.value -= scored[i].logprobs[t - 1];
      outcome.weight += 1.0;
      bytes += text_bytes(context.tokenizer, item.ids[t]);
    }
    total.value += outcome.value;
    total.weight += outcome.weight;
    score.outcomes.push_back(outcome);
  }
  score.extra["loss"] = total.weight > 0 ? Json(total.value / total.weight) : Json(nullptr);
  score.extra["tokens"] = static_cast<int64_t>(total.weight);
  score.extra["bytes"] = bytes;
  const double per_byte = total.value / static_cast<double>(bytes);
  score.extra["byte_perplexity"] = bytes > 0 ? Json(std::exp(per_byte)) : Json(nullptr);
  score.extra["bits_per_byte"] = bytes > 0 ? Json(per_byte / std::log(2.0)) : Json(nullptr);
  return score;
}

}  // namespace lmoe::eval
