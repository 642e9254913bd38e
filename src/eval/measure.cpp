#include "eval/choice.h"
#include "eval/exact_match.h"
#include "eval/pair_accuracy.h"
#include "eval/perplexity.h"
#include "eval/task_score.h"

namespace lmoe::eval {

TaskScore measure(const EvalContext& context, const EvalTask& task, const std::string& phase) {
  switch (task.metric) {
    case Metric::kExactMatch:
      return measure_exact_match(context, task, phase);
    case Metric::kChoice:
      return measure_choice(context, task, phase);
    case Metric::kPairAccuracy:
      return measure_pair_accuracy(context, task, phase);
    case Metric::kPerplexity:
    case Metric::kAuto:
      break;
  }
  return measure_perplexity(context, task, phase);
}

}  // namespace lmoe::eval
