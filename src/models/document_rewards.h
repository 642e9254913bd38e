// The rewards of whole documents: forwards of the decoder, then a reward head on what their last
// tokens ended with.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/decoder.h"
#include "nn/reward_head.h"

namespace lmoe::models {

/// One reward per segment of `context`, [D], with autograd. Where the head has several passes, the
/// ids go through the decoder so often: in pass p documents of task t are routed as task
/// t * passes + p, so that of passes * heads experts each pass takes another one of their task.
/// A head of several takes the one of the task; `default_task` is that of documents without one.
/// Each document is its own prompt from beginning to end (Segment::prompt): gates that decide by
/// the prompt decide by all of it.
/// Throws as Decoder::forward and RewardHead::rewards.
at::Tensor document_rewards(const Decoder& decoder,
                            const nn::RewardHead& head,
                            const at::Tensor& ids,
                            nn::ForwardContext& context,
                            int64_t default_task);

}  // namespace lmoe::models
