// From logits to weights: values of `normalize`.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// logits, probabilities (softmax of the logits over all experts) [..., E]; `selected` bool of the
/// same shape, or undefined for all. Returns weights [..., E], 0 outside the selection.
at::Tensor routing_weights(const at::Tensor& logits,
                           const at::Tensor& probabilities,
                           const at::Tensor& selected,
                           spec::Normalize normalize);

}  // namespace lmoe::mixture
