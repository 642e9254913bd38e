#include "eval/prompt_usage.h"

#include <algorithm>
#include <span>

#include "eval/answer_requests.h"
#include "eval/progress.h"
#include "generate/sequence_cache.h"

namespace lmoe::eval {
namespace {

/// What comes before the first answer, at least one token, as in training; of a long one the end,
/// as where it is answered.
std::span<const text::TokenId> prompt_of(const EvalContext& context, const EvalItem& item) {
  const std::span<const text::TokenId> ids = item.ids.empty() ? item.prompt : item.ids;
  const int64_t length =
      item.ids.empty() ? std::ssize(ids) : std::max<int64_t>(item.prompt_length(), 1);
  const auto whole = ids.first(static_cast<size_t>(std::min(length, std::ssize(ids))));
  return whole.last(static_cast<size_t>(std::min(std::ssize(whole), prompt_room(context, item))));
}

}  // namespace

PromptUsage measure_prompt_usage(const EvalContext& context, const EvalTask& task) {
  const auto entries = static_cast<size_t>(context.model.prompt_entries());
  LMOE_CHECK_ARG(entries > 0, "[eval] the model has no bank of prompts to watch");
  const EvalTask part = first_items(task, context.options.usage_records);
  Progress progress(context.hooks, task.name, "prompts", std::ssize(part.items));
  PromptUsage usage = {0, std::vector<double>(entries), std::vector<double>(entries)};
  for (const EvalItem& item : part.items) {
    progress.check_cancelled();
    LMOE_CHECK_ARG(item.passages.empty(), "[eval] task ", task.name, ", record ", item.line,
                   ": a bank of prompts cannot keep passages apart");
    generate::SequenceCache sequence(context.model);
    const std::span<const text::TokenId> prompt = prompt_of(context, item);
    const decode::StepInput input{sequence.id(), prompt, std::ssize(prompt)};
    const auto output = context.model.step(std::span(&input, 1), /*want_routing=*/true);
    LMOE_ASSERT(output.prompts.size() == 1 && !output.prompts[0].empty());
    for (const int64_t entry : output.prompts[0]) usage.share[static_cast<size_t>(entry)] += 1.0;
    usage.nearest[static_cast<size_t>(output.prompts[0].front())] += 1.0;
    ++usage.records;
    progress.add(1);
  }
  for (std::vector<double>* counts : {&usage.share, &usage.nearest})
    for (double& count : *counts) count /= static_cast<double>(std::max<int64_t>(usage.records, 1));
  return usage;
}

Json prompt_usage_json(const PromptUsage& usage) {
  return {{"records", usage.records}, {"share", usage.share}, {"nearest", usage.nearest}};
}

}  // namespace lmoe::eval
