// How many experts take part: values of `select.kind`.
#pragma once

#include <ATen/core/Tensor.h>

#include "mixture/scores.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// bool [..., E], or undefined with `all`. With `sample` what is used outside of training: top-k.
/// Among equal ranks the lower index comes first. Sums of top_p run over the experts in the order
/// of their ranking.
at::Tensor select_experts(const Scores& scores, const spec::SelectSpec& select);

}  // namespace lmoe::mixture
