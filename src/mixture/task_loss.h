// Losses that know which task each document belongs to.
//
// Legend: E experts, T tasks, each with E / T experts of its own, M documents. Q[m, e] is the sum
// of the probabilities of expert e over the tokens of document m (over their number with
// `per_token`), I[m, e] is 1 + delta where e belongs to the task of m, else 1 - delta, and Z = I *
// Q.
//
//   localized           Var(Z) / (Mean(Z)^2 + 1e-10), unbiased; 0 for a single number
//   localized_paper     Var(Z) / Mean(Z), population
//   task_cross_entropy  cross-entropy of the logits against the task, mean over tokens; log E with
//                       undecided gates
//
// The optimum of `localized` is not equal load: Z is constant there (LossSpec::delta).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/forward_context.h"
#include "spec/loss_spec.h"

namespace lmoe::mixture {

/// Of one gate, with autograd. Throws kInvalidArgument when `segments` are not those of its tokens,
/// or a document has no task or one that the loss does not know.
at::Tensor task_loss(const spec::LossSpec& loss,
                     const nn::GateRecord& gate,
                     const std::vector<nn::Segment>& segments);

}  // namespace lmoe::mixture
