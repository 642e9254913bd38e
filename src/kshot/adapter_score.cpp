#include "kshot/adapter_score.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "eval/perplexity.h"

namespace lmoe::kshot {

double log_perplexity(std::span<const eval::Outcome> answers, AnswerLength length) {
  LMOE_CHECK_ARG(!answers.empty(), "[select] no answers: given 0, expected at least one");
  std::vector<double> logs;
  for (const eval::Outcome& answer : answers)
    logs.push_back(length == AnswerLength::kTokens ? answer.value / answer.weight : answer.value);
  const double largest = *std::max_element(logs.begin(), logs.end());
  double sum = 0.0;
  for (const double log : logs) sum += std::exp(log - largest);
  return largest + std::log(sum / static_cast<double>(logs.size()));
}

AdapterScore score_adapter(const eval::EvalContext& context,
                           const eval::EvalTask& task,
                           AnswerLength length) {
  LMOE_CHECK_ARG(task.metric == eval::Metric::kExactMatch || task.metric == eval::Metric::kChoice,
                 "[select] ", task.source, ": adapters are judged by answers: given ",
                 enum_name(task.metric), ", expected records with a prompt and an answer");
  AdapterScore score;
  score.log_perplexity =
      log_perplexity(eval::measure_perplexity(context, task, "perplexity").outcomes, length);
  const std::vector<eval::Outcome> right = eval::measure(context, task, "accuracy").outcomes;
  score.accuracy = eval::score_of(task.metric, right);
  return score;
}

}  // namespace lmoe::kshot
