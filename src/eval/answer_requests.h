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

/// See exact_match.h for the rules.
AnswerRequests answer_requests(const EvalContext& context, const EvalTask& task);

}  // namespace lmoe::eval
