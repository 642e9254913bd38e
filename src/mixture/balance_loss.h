// Losses on what routers decide: values of `losses`.
//
// Legend, for one gate or for several that are pooled: N tokens, E experts, p their probabilities,
// P the mean probability of an expert over all tokens, W its mean weight; f1 the share of tokens
// whose most likely expert it is, c the share of tokens that select it (sums to k with top-k). f1
// and c are constants to autograd.
//
//                                                    equal logits and load    collapse on one
//   cv2          Var(P) / Mean(P)^2, population      0                        E - 1
//   switch       E * sum f1 P                        1                        E
//   kl           sum P log(E P)                      0                        log E
//   topk_switch  E * sum c P                         k                        E
//   topk_share   E * sum c P / sum c                 1                        E / k
//   soft_switch  E * sum W P                         sum W (1 when dense)     E
//   importance   Var(W) / Mean(W)^2, population      0                        E - 1
//   entropy      mean of H(p) over tokens            1 (normalized)           0
//   z            mean of logsumexp(logits)^2         (log E)^2                -
//
// Those that look at tasks are in task_loss.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"
#include "spec/loss_spec.h"

namespace lmoe::mixture {

/// Value of a loss over all gates of `log`, reduced by `loss.over`, before its coefficient. Scalar
/// with autograd. Throws as task_loss.
at::Tensor balance_loss(const spec::LossSpec& loss, const nn::RouterLog& log);

}  // namespace lmoe::mixture
