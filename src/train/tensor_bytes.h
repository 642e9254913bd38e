// Tensors in memory as safetensors sees them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "io/tensor_view.h"

namespace lmoe::train {

/// A view of a contiguous float32 or float64 tensor in main memory; the tensor must outlive it.
io::TensorView view_bytes(const std::string& name, const at::Tensor& tensor);

/// Copies bytes of the same type and shape. Throws kCorruptData naming the tensor.
void copy_bytes(const io::TensorView& from, at::Tensor to);

}  // namespace lmoe::train
