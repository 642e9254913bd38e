// How often a reward model prefers what people preferred.
#pragma once

#include "eval/task_score.h"

namespace lmoe::eval {

/// Value 1 where the chosen answer has the greater reward; equal rewards count as wrong. Extra:
/// "mean_margin", of chosen over rejected. Throws kInvalidArgument when the model gives no rewards.
TaskScore measure_pair_accuracy(const EvalContext& context,
                                const EvalTask& task,
                                const std::string& phase);

}  // namespace lmoe::eval
