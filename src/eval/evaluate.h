// The whole evaluation of a model: every task scored, then the router watched and experts switched
// off where there are any.
//
//   std::vector<EvalTask> tasks = {make_task(dataset, renderer, options.metric)};
//   EvalResult result = evaluate(model, tokenizer, tasks, options);
#pragma once

#include <span>
#include <string>

#include "decode/step_model.h"
#include "eval/eval_options.h"
#include "eval/eval_task.h"
#include "eval/result.h"
#include "text/tokenizer.h"

namespace lmoe::eval {

/// Throws kInvalidArgument for no tasks or two of one name, kInterrupted when cancelled, and what
/// the model throws.
EvalResult evaluate(decode::StepModel& model,
                    const text::Tokenizer& tokenizer,
                    std::span<const EvalTask> tasks,
                    const EvalOptions& options,
                    const EvalHooks& hooks = {},
                    const std::string& model_name = {});

TaskResult evaluate_task(const EvalContext& context, const EvalTask& task);

}  // namespace lmoe::eval
