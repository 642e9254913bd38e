// Between tensors and the bytes of files.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "io/tensor_view.h"

namespace lmoe::nn {

/// A view of a contiguous float32 or float64 tensor, valid as long as the tensor.
io::TensorView view_of(const std::string& name, const at::Tensor& tensor);

/// Overwrites `target`, of the same shape, with the values of `view`, whatever its type.
void copy_from_view(const io::TensorView& view, const at::Tensor& target);

}  // namespace lmoe::nn
