// From scores to weights: values of `normalize`.
#pragma once

#include <ATen/core/Tensor.h>

#include "mixture/scores.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// `selected` bool [..., E], or undefined for all. Returns weights [..., E], 0 outside the
/// selection. Throws kInvalidArgument when biases made a selected score of `sum_to_k` negative.
at::Tensor routing_weights(const Scores& scores,
                           const at::Tensor& selected,
                           spec::Normalize normalize);

}  // namespace lmoe::mixture
