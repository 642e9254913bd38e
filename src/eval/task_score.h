// What a metric makes of a task: an outcome per record and what the metric adds of its own.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "decode/step_model.h"
#include "eval/eval_options.h"
#include "eval/eval_task.h"
#include "eval/metric.h"
#include "text/tokenizer.h"

namespace lmoe::eval {

struct TaskScore {
  std::vector<Outcome> outcomes;     ///< one per item, in order
  Json extra = Json::object();       ///< further numbers of the metric, by name
  std::vector<std::string> answers;  ///< exact_match: what the model said
};

/// What measuring needs besides the task. All must outlive the call.
struct EvalContext {
  decode::StepModel& model;
  const text::Tokenizer& tokenizer;
  const EvalOptions& options;
  const EvalHooks& hooks;
};

/// Measures `task` by its metric; `phase` names it in progress. Throws kInterrupted, and what the
/// model throws.
TaskScore measure(const EvalContext& context, const EvalTask& task, const std::string& phase);

}  // namespace lmoe::eval
