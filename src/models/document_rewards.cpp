#include "models/document_rewards.h"

#include <ATen/ATen.h>

#include <vector>

namespace lmoe::models {
namespace {

/// Which head each document has.
std::vector<int64_t> tasks_of(const nn::ForwardContext& context, int64_t default_task) {
  std::vector<int64_t> tasks;
  for (const nn::Segment& segment : context.segments)
    tasks.push_back(segment.task < 0 ? default_task : segment.task);
  return tasks;
}

/// A document that is judged is there as a whole: gates that decide by the prompt read all of it.
void take_whole_as_prompt(nn::ForwardContext& context) {
  for (nn::Segment& segment : context.segments) segment.prompt = segment.length;
}

/// [D, H] of one forward.
at::Tensor last_states(const Decoder& decoder, const at::Tensor& ids, nn::ForwardContext& context) {
  const at::Tensor hidden = decoder.forward(ids, context);
  return hidden.index_select(0, nn::last_rows(context.segments).to(hidden.device()));
}

}  // namespace

at::Tensor document_rewards(const Decoder& decoder,
                            const nn::RewardHead& head,
                            const at::Tensor& ids,
                            nn::ForwardContext& context,
                            int64_t default_task) {
  take_whole_as_prompt(context);
  const auto& [hidden_size, heads, passes] = head.shape();
  const bool has_tasks = heads > 1 || passes > 1;
  const std::vector<int64_t> tasks = has_tasks ? tasks_of(context, default_task)
                                               : std::vector<int64_t>(context.segments.size(), 0);
  const at::Tensor which = at::tensor(tasks, at::kLong);
  if (passes == 1) return head.rewards(last_states(decoder, ids, context), which);
  std::vector<at::Tensor> states;
  for (int64_t pass = 0; pass < passes; ++pass) {
    nn::ForwardContext own = context;
    for (size_t d = 0; d < tasks.size(); ++d) own.segments[d].task = tasks[d] * passes + pass;
    states.push_back(last_states(decoder, ids, own));
  }
  return head.rewards(at::cat(states, /*dim=*/1), which);
}

}  // namespace lmoe::models
