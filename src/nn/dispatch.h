// Calls a generic lambda with the stored type of a tensor, and splits rows over threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>

#include "base/error.h"

namespace lmoe::nn {

template <class T>
struct TypeTag {
  using type = T;
};

/// Throws kUnsupported for anything but float32, bfloat16 and float64 on the CPU.
template <class Body>
decltype(auto) dispatch_dtype(const at::Tensor& tensor, Body&& body) {
  if (!tensor.device().is_cpu())
    fail(ErrorCode::kUnsupported, "[forward] only CPU tensors are supported: given ",
         tensor.device());
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return body(TypeTag<float>());
    case at::kBFloat16:
      return body(TypeTag<c10::BFloat16>());
    case at::kDouble:
      return body(TypeTag<double>());
    default:
      fail(ErrorCode::kUnsupported,
           "[forward] compute type must be float32, bfloat16 or float64: given ",
           tensor.scalar_type());
  }
}

/// The type arithmetic is done in for tensors of `dtype`.
inline at::ScalarType accumulate_dtype(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

/// body(first, last) over rows, about 16 K values or more per task.
template <class Body>
void parallel_rows(int64_t rows, int64_t width, const Body& body) {
  at::parallel_for(0, rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width)), body);
}

}  // namespace lmoe::nn
