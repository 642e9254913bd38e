#include "mixture/allowed_experts.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::mixture {

at::Tensor forbidden_experts(const nn::ForwardContext& context,
                             int64_t tokens,
                             int64_t experts,
                             const spec::SelectSpec& select) {
  if (select.private_experts == 0) return {};
  const int64_t groups = select.groups.value_or(0), own = select.private_experts;
  at::Tensor forbidden = at::zeros({tokens, experts}, at::TensorOptions().dtype(at::kBool));
  forbidden.narrow(/*dim=*/1, 0, groups * own).fill_(true);
  for (const nn::Segment& segment : context.segments) {
    if (segment.task < 0) continue;
    LMOE_CHECK_ARG(segment.task < groups, "[route] a document of task ", segment.task,
                   " reached a gate that has experts for ", groups, " tasks");
    forbidden.narrow(/*dim=*/0, segment.start, segment.length)
        .narrow(/*dim=*/1, segment.task * own, own)
        .fill_(false);
  }
  return forbidden;
}

}  // namespace lmoe::mixture
