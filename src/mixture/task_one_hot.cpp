#include "mixture/task_one_hot.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::mixture {

at::Tensor task_one_hot(const nn::ForwardContext& context,
                        int64_t tokens,
                        int64_t tasks,
                        int64_t default_task,
                        const at::TensorOptions& options) {
  at::Tensor task = at::full({tokens}, default_task, at::TensorOptions().dtype(at::kLong));
  for (const nn::Segment& segment : context.segments) {
    if (segment.task < 0) continue;
    LMOE_CHECK_ARG(segment.task < tasks, "[route] a document of task ", segment.task,
                   " reached a gate that knows ", tasks, " tasks, one per expert");
    task.narrow(/*dim=*/0, segment.start, segment.length).fill_(segment.task);
  }
  LMOE_CHECK_ARG(default_task != kNoTask || task.ge(0).all().item<bool>(),
                 "[route] documents without a task cannot be routed by task; hint: one entry of "
                 "`datasets` per task");
  return at::one_hot(task, tasks).to(options);
}

}  // namespace lmoe::mixture
