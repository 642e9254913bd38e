// Tensors of several sites that live as one.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace lmoe::mixture {

/// Site number s of S owns the s-th of S equal blocks of rows.
struct StackedTensor {
  std::string suffix;  ///< what follows the site in the tensor's name
  at::Tensor tensor;
};

}  // namespace lmoe::mixture
