#include "eval/answer_requests.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::eval {
namespace {

int64_t answer_limit(const EvalContext& context, const EvalItem& item) {
  if (context.options.max_new_tokens > 0) return context.options.max_new_tokens;
  const auto labelled = std::count_if(item.labels.begin(), item.labels.end(),
                                      [](auto label) { return label != data::kIgnoreLabel; });
  return 2 * labelled + 16;
}

/// Drops the prompt's beginning.
bool fit_prompt(std::vector<text::TokenId>& prompt, int64_t room) {
  const int64_t excess = std::ssize(prompt) - room;
  if (excess <= 0) return false;
  prompt.erase(prompt.begin(), prompt.begin() + excess);
  return true;
}

}  // namespace

int64_t prompt_room(const EvalContext& context, const EvalItem& item) {
  const int64_t positions = context.model.max_positions();
  return std::max<int64_t>(1, positions - std::min(answer_limit(context, item), positions / 2));
}

AnswerRequests answer_requests(const EvalContext& context, const EvalTask& task) {
  AnswerRequests result;
  for (const EvalItem& item : task.items) {
    generate::GenerateRequest request{.prompt = item.prompt, .passages = item.prompt_passages};
    request.options.max_new_tokens = answer_limit(context, item);
    request.options.eos_token_id = task.end_tokens;
    if (task.stops_at_line_break) request.options.stop = {"\n"};
    const bool is_cut = fit_prompt(request.prompt, prompt_room(context, item));
    LMOE_CHECK_ARG(!is_cut || request.passages.empty(), "[eval] task ", task.name, ", record ",
                   item.line, ": a prompt with passages cannot be cut: given ", item.prompt.size(),
                   " tokens, expected at most ", request.prompt.size(),
                   "; hint: max_new_tokens, for which room is left");
    result.truncated += is_cut ? 1 : 0;
    result.requests.push_back(std::move(request));
  }
  return result;
}

}  // namespace lmoe::eval
