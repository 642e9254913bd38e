// A loss of each group of tokens that has experts of its own: `per_group` of a loss.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// balance_loss over the tokens of each group and the experts that it may choose, its own first,
/// summed over the groups; a group without tokens counts 0. Scalar with autograd.
at::Tensor group_loss(const spec::LossSpec& loss,
                      const spec::SelectSpec& select,
                      const nn::RouterLog& log);

}  // namespace lmoe::mixture
