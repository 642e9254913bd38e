#include "eval/evaluate.h"

#include <set>

namespace lmoe::eval {

TaskResult evaluate_task(const EvalContext& context, const EvalTask& task) {
  TaskScore score = measure(context, task, enum_name(task.metric));
  TaskResult result;
  result.task = task.name;
  result.source = task.source;
  result.is_training_data = task.is_training_data;
  result.metric = task.metric;
  result.score = score_of(task.metric, score.outcomes);
  result.n = std::ssize(task.items);
  result.interval = interval_of(task.metric, score.outcomes, context.options);
  result.extra = std::move(score.extra);
  result.outcomes = std::move(score.outcomes);
  result.samples = make_samples(context, task);
  if (context.model.prompt_entries() > 0 && context.options.usage_records > 0)
    result.prompts = measure_prompt_usage(context, task);
  // Which experts a reward has, its task says.
  if (context.model.router() == nullptr || task.metric == Metric::kPairAccuracy) return result;
  if (context.options.usage_records > 0) result.usage = measure_router_usage(context, task);
  if (context.options.ablation_records > 0) result.ablation = measure_ablation(context, task);
  return result;
}

EvalResult evaluate(decode::StepModel& model,
                    const text::Tokenizer& tokenizer,
                    std::span<const EvalTask> tasks,
                    const EvalOptions& options,
                    const EvalHooks& hooks,
                    const std::string& model_name) {
  LMOE_CHECK_ARG(!tasks.empty(),
                 "[eval] nothing to evaluate: given no tasks, expected at least one");
  std::set<std::string> names;
  for (const EvalTask& task : tasks)
    LMOE_CHECK_ARG(names.insert(task.name).second, "[eval] two tasks have one name: given ",
                   task.name,
                   " twice, expected names that differ; hint: `name` of an entry of "
                   "eval_datasets");
  EvalResult result;
  result.model = model_name;
  result.confidence = options.confidence;
  if (model.router() != nullptr) result.router = *model.router();
  const EvalContext context{model, tokenizer, options, hooks};
  for (const EvalTask& task : tasks) result.tasks.push_back(evaluate_task(context, task));
  return result;
}

}  // namespace lmoe::eval
