#include "eval/pair_accuracy.h"

#include <algorithm>

#include "eval/progress.h"

namespace lmoe::eval {

TaskScore measure_pair_accuracy(const EvalContext& context,
                                const EvalTask& task,
                                const std::string& phase) {
  Progress progress(context.hooks, task.name, phase, std::ssize(task.items));
  TaskScore score;
  double margins = 0.0;
  // A few pairs per call: enough to fill the model, few enough to show progress and to stop.
  constexpr size_t kPairsPerCall = 16;
  for (size_t begin = 0; begin < task.items.size(); begin += kPairsPerCall) {
    progress.check_cancelled();
    const size_t end = std::min(task.items.size(), begin + kPairsPerCall);
    std::vector<decode::RewardRequest> documents;
    for (size_t i = begin; i < end; ++i) {
      const EvalItem& item = task.items[i];
      documents.push_back({item.ids, task.task, item.passages});
      documents.push_back({item.rejected, task.task, item.rejected_passages});
    }
    const auto rewards = context.model.rewards(documents);
    LMOE_CHECK_ARG(rewards.has_value(), "[eval] task ", task.name,
                   ": pair_accuracy needs a reward model: given a model without a reward head; "
                   "hint: train with objective: preference");
    for (size_t i = 0; i < rewards->size(); i += 2) {
      const double margin = (*rewards)[i] - (*rewards)[i + 1];
      margins += margin;
      score.outcomes.push_back({margin > 0.0 ? 1.0 : 0.0, 1.0});
    }
    progress.add(static_cast<int64_t>(end - begin));
  }
  score.extra["mean_margin"] = margins / static_cast<double>(task.items.size());
  return score;
}

}  // namespace lmoe::eval
