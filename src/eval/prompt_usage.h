// What a task finds in a bank of prompts: which entries stand in front of how many of its records.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "eval/task_score.h"

namespace lmoe::eval {

struct PromptUsage {
  int64_t records = 0;
  std::vector<double> share;    ///< [entries] of the records with this entry in front
  std::vector<double> nearest;  ///< [entries] of the records whose nearest it is
};

/// Feeds the prompts of as many records as `usage_records` to a model with a bank. Long ones lose
/// their beginning, as in exact_match.
PromptUsage measure_prompt_usage(const EvalContext& context, const EvalTask& task);

/// {"records", "share": [entries], "nearest": [entries]}
Json prompt_usage_json(const PromptUsage& usage);

}  // namespace lmoe::eval
