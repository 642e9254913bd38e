#include "train/agree_on_start.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "distributed/all_or_none.h"

namespace lmoe::train {
namespace {

/// Without what may differ from machine to machine.
std::string same_everywhere(TrainerState state) {
  state.threads = 0;
  state.kernels.clear();
  state.elapsed_seconds = 0.0;
  return write_trainer_state(state).dump();
}

}  // namespace

void check_worker_count(const distributed::ProcessGroup& group, const recipe::BatchOptions& batch) {
  LMOE_CHECK_ARG(group.size() <= batch.gradient_accumulation_steps, "[distributed] ", group.size(),
                 " workers for the ", batch.gradient_accumulation_steps,
                 " micro-batches of a step, expected at most one for each; hint: fewer workers");
}

void agree_on_start(distributed::ProcessGroup& group,
                    const TrainerState& state,
                    const mixture::Mixture& mixture,
                    const nn::RewardHead* head) {
  if (group.size() == 1) return;
  const std::string mine = same_everywhere(state);
  const std::string first = group.broadcast_text(mine);
  distributed::all_or_none(group, [&] {
    LMOE_CHECK_ARG(mine == first, "[distributed] worker ", group.rank(), " of ", group.size(),
                   " has another recipe, base or data than worker 0; hint: the same files and "
                   "arguments for all");
  });
  const auto of_head = head != nullptr ? head->parameters() : std::vector<nn::NamedTensor>();
  for (const auto& tensors :
       {mixture.parameters(), mixture.fixed_tensors(), mixture.buffers(), of_head}) {
    for (const nn::NamedTensor& named : tensors) group.broadcast(named.tensor.detach().view({-1}));
  }
}

}  // namespace lmoe::train
