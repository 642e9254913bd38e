// Which experts a token may choose: `select.private_experts`.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/forward_context.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// Tokens [start, start + length) that share private experts, those of group `index`.
struct TokenGroup {
  int64_t index = 0, start = 0, length = 0;
};

/// With `private_by: role`.
inline constexpr int64_t kPromptGroup = 0, kAnswerGroup = 1;

/// By `private_by`, in the order of the tokens; those of which nobody knows the group are left out.
/// Throws kInvalidArgument for a task or a passage that has no experts of its own.
std::vector<TokenGroup> token_groups(const std::vector<nn::Segment>& segments,
                                     const spec::SelectSpec& select);

/// bool [tokens, experts]: private experts of other groups than the token's; undefined when all are
/// everybody's. Throws as `token_groups`.
at::Tensor forbidden_experts(const nn::ForwardContext& context,
                             int64_t tokens,
                             int64_t experts,
                             const spec::SelectSpec& select);

}  // namespace lmoe::mixture
