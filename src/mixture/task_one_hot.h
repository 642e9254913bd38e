// The task of each token, as a gate reads it.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"

namespace lmoe::mixture {

/// No default: every token needs a task.
inline constexpr int64_t kNoTask = -1;

/// [tokens, tasks] of 0 and 1, by the segments of the context; `default_task` where a segment has
/// no task. Throws kInvalidArgument for a task that is too large, or none at all.
at::Tensor task_one_hot(const nn::ForwardContext& context,
                        int64_t tokens,
                        int64_t tasks,
                        int64_t default_task,
                        const at::TensorOptions& options);

}  // namespace lmoe::mixture
