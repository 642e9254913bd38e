// How good one adapter is at the samples of a task: how likely it finds their answers, and how
// many it gets right (arXiv 2408.15915).
#pragma once

#include <span>

#include "eval/eval_task.h"
#include "eval/task_score.h"

namespace lmoe::kshot {

/// What the likelihood of an answer is divided by before it becomes a perplexity. The paper prints
/// kNothing, with which one long answer outweighs all others; kTokens is the default here.
enum class AnswerLength { kTokens, kNothing };

struct AdapterScore {
  double log_perplexity = 0.0;  ///< natural logarithm
  double accuracy = 0.0;        ///< 0 to 1
};

/// Logarithm of the mean over all answers of exp(-log p / length), where -log p is the outcome's
/// value and its tokens are the weight, as eval::measure_perplexity gives them. In logarithms,
/// because whole answers have perplexities beyond a double. Throws kInvalidArgument for none.
double log_perplexity(std::span<const eval::Outcome> answers, AnswerLength length);

/// Of the samples in `task`, whose metric (exact_match or choice) is the accuracy. Throws
/// kInvalidArgument for another metric, and what measuring throws.
AdapterScore score_adapter(const eval::EvalContext& context,
                           const eval::EvalTask& task,
                           AnswerLength length);

}  // namespace lmoe::kshot
