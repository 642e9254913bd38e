#include "nn/tensor_bytes.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstring>

#include "base/error.h"

namespace lmoe::nn {

io::TensorView view_of(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.device().is_cpu())
    fail(ErrorCode::kUnsupported, "[save] ", name, " is written from CPU memory alone: given ",
         tensor.device());
  const bool fits = tensor.is_contiguous() &&
                    (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
  if (!fits)
    fail(ErrorCode::kInternal, "[save] ", name, " is no contiguous float32 or float64 tensor");
  io::TensorView view;
  view.name = name;
  view.dtype = tensor.scalar_type() == at::kDouble ? io::DType::kF64 : io::DType::kF32;
  view.shape = tensor.sizes().vec();
  view.bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
  return view;
}

void copy_from_view(const io::TensorView& view, const at::Tensor& target) {
  const c10::NoGradGuard no_grad;
  LMOE_ASSERT(view.shape == target.sizes().vec());
  at::Tensor values;
  if (view.dtype == io::DType::kF64) {
    values = at::empty(view.shape, at::kDouble);
    std::memcpy(values.data_ptr(), view.bytes.data(), view.bytes.size());
  } else {
    values = at::empty(view.shape, at::kFloat);
    io::to_float32(view, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  }
  at::Tensor(target).copy_(values);
}

}  // namespace lmoe::nn
