// Choice by log-likelihood: the model is right when the right choice is the most likely
// continuation of the prompt.
//
// The score is `acc`: log-likelihoods are summed over the choice's tokens. `acc_norm` divides them
// by the UTF-8 bytes of the choice, so that long choices are not at a disadvantage. Equals go to
// the first choice. Prompts too long for the model lose their beginning and are counted as
// `truncated`.
#pragma once

#include "eval/task_score.h"

namespace lmoe::eval {

/// Extra: `acc`, `acc_norm`, `truncated`. Throws kInvalidArgument for a choice that alone is longer
/// than the model's positions.
TaskScore measure_choice(const EvalContext& context,
                         const EvalTask& task,
                         const std::string& phase);

}  // namespace lmoe::eval
