// Balance losses of a router: values of `losses`.
//
// Legend: S sites (gates), N tokens, E experts. P is the mean probability of an expert at a site
// over all tokens; f the share of tokens whose most likely expert it is, a constant to autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// Value of one loss at every gate of `log`, in the order of its records. [S]
///
///   cv2       Var(P) / Mean(P)^2, population variance      0 at balance, E - 1 at collapse
///   switch    E * sum f P                                  1 at balance, E at collapse
///   kl        sum P log(E P)                               0 at balance, log E at collapse
at::Tensor balance_losses(spec::BalanceLoss kind, const nn::RouterLog& log);

}  // namespace lmoe::mixture
