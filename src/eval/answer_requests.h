// The prompts of a task as requests for greedy answers, with the stop rules of exact_match.
#pragma once

#include <cstdint>
#include <vector>

#include "eval/task_score.h"
#include "generate/generator.h"

namespace lmoe::eval {

struct AnswerRequests {
  std::vector<generate::GenerateRequest> requests;
  int64_t truncated = 0;  ///< prompts that lost their beginning to make room for an answer
};

/// How many tokens of an item's prompt, the last ones, leave room for an answer: half of the
/// positions at least.
int64_t prompt_room(const EvalContext& context, const EvalItem& item);

/// See exact_match.h for the rules.
AnswerRequests answer_requests(const EvalContext& context, const EvalTask& task);

}  // namespace lmoe::eval
