// Cosines of vectors and keys.
#pragma once

#include <ATen/core/Tensor.h>

namespace lmoe::mixture {

/// Vectors along the last dimension, divided by their length.
at::Tensor unit(const at::Tensor& x);

/// rows [N, D], keys [E, D] -> [N, E] of their products. More keys change no bit of the others'.
at::Tensor products_with_keys(const at::Tensor& rows, const at::Tensor& keys);

}  // namespace lmoe::mixture
