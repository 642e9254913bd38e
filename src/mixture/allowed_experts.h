// Which experts a token may choose: `select.private_experts`.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// bool [tokens, experts]: private experts of other tasks than the token's; undefined when all are
/// everybody's. Throws kInvalidArgument for a task that has no experts of its own.
at::Tensor forbidden_experts(const nn::ForwardContext& context,
                             int64_t tokens,
                             int64_t experts,
                             const spec::SelectSpec& select);

}  // namespace lmoe::mixture
