// How many experts take part: values of `select.kind`.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// logits [..., E] -> bool [..., E], or undefined when all take part. Among equal logits the lower
/// index comes first.
at::Tensor select_experts(const at::Tensor& logits, const spec::SelectSpec& select);

}  // namespace lmoe::mixture
