// Experts drawn one after another without replacement from the softmax of their logits.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/rng.h"

namespace lmoe::mixture {

struct Draw {
  at::Tensor order;     ///< int64 [..., k] in the order of the draw
  at::Tensor selected;  ///< bool [..., E]
};

/// The k largest of logits [..., E] plus Gumbel noise: the same law as drawing one by one.
Draw draw_experts(const at::Tensor& logits, int64_t k, Rng& rng);

/// Log probability of the ordered draw, with gradients to the logits. [...]
at::Tensor log_probability(const at::Tensor& logits, const at::Tensor& order);

}  // namespace lmoe::mixture
