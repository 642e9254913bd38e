// Keys to begin with: what the documents of the data are about, in so many words.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lmoe::mixture {

/// features [N, D] -> [min(count, N), D] float64 of length 1: the centres of as many clusters by
/// cosine. K-means from features far from each other, at most 20 rounds; the same features give the
/// same centres. A centre that nobody is nearest to stays where it began.
at::Tensor key_prototypes(const at::Tensor& features, int64_t count);

}  // namespace lmoe::mixture
