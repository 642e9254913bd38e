#include "eval/exact_match.h"

#include <algorithm>

#include "eval/answer_requests.h"
#include "eval/answer_text.h"
#include "eval/progress.h"
#include "generate/generator.h"

namespace lmoe::eval {

TaskScore measure_exact_match(const EvalContext& context,
                              const EvalTask& task,
                              const std::string& phase) {
  const AnswerRequests answering = answer_requests(context, task);
  Progress progress(context.hooks, task.name, phase, std::ssize(task.items));
  generate::Generator generator(
      context.model, context.tokenizer,
      {.max_sequences = context.options.batch_size,
       .max_step_tokens = std::max<int64_t>(1024, context.options.batch_size)});
  const auto answers = generator.run_batch(
      answering.requests,
      {.on_finish = [&](size_t, const generate::Generation&) { progress.add(1); },
       .is_cancelled = [&] { return progress.is_cancelled(); }});
  progress.check_cancelled();

  TaskScore score;
  for (size_t i = 0; i < answers.size(); ++i) {
    const bool matches =
        normalise_answer(answers[i].text) == normalise_answer(task.items[i].expected);
    score.outcomes.push_back({matches ? 1.0 : 0.0, 1.0});
    score.answers.push_back(answers[i].text);
  }
  score.extra["truncated"] = answering.truncated;
  return score;
}

}  // namespace lmoe::eval
