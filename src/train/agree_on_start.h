// What the workers of a run have in common before its first step.
#pragma once

#include "distributed/process_group.h"
#include "mixture/mixture.h"
#include "nn/reward_head.h"
#include "recipe/batch_options.h"
#include "train/trainer_state.h"

namespace lmoe::train {

/// Throws kInvalidArgument when there are more workers than micro-batches in a step.
void check_worker_count(const distributed::ProcessGroup& group, const recipe::BatchOptions& batch);

/// Throws kInvalidArgument in all workers when one of them has another recipe, base, data or step
/// than the first; then gives all the first one's tensors, bit for bit. `head` may be
/// null.
void agree_on_start(distributed::ProcessGroup& group,
                    const TrainerState& state,
                    const mixture::Mixture& mixture,
                    const nn::RewardHead* head);

}  // namespace lmoe::train
