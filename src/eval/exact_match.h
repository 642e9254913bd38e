// Exact match: the greedy answer, normalised, equals the expected one, normalised.
//
// An answer ends at the end token or at a line break; where an expected answer of the task has
// several lines, only at the end token. It is also cut at `max_new_tokens`; by default that is
// twice the tokens of the expected answer plus 16, because a longer one can hardly match. Prompts
// that leave no room are cut at their beginning and counted as `truncated`.
#pragma once

#include "eval/task_score.h"

namespace lmoe::eval {

/// Extra: `truncated`.
TaskScore measure_exact_match(const EvalContext& context,
                              const EvalTask& task,
                              const std::string& phase);

}  // namespace lmoe::eval
