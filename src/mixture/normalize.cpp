#include "mixture/normalize.h"

#include <ATen/ATen.h>

#include <limits>

namespace lmoe::mixture {

at::Tensor routing_weights(const at::Tensor& logits,
                           const at::Tensor& probabilities,
                           const at::Tensor& selected,
                           spec::Normalize normalize) {
  if (!selected.defined()) return probabilities;  // all forms agree on the whole
  if (normalize == spec::Normalize::kSoftmaxSelected) {
    const double never = -std::numeric_limits<double>::infinity();
    return at::softmax(logits.masked_fill(selected.logical_not(), never), /*dim=*/-1);
  }
  at::Tensor kept = probabilities * selected;
  if (normalize == spec::Normalize::kSoftmax) return kept;
  return kept / kept.sum(/*dim=*/-1, /*keepdim=*/true);
}

}  // namespace lmoe::mixture
