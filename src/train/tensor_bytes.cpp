#include "train/tensor_bytes.h"

#include <ATen/ATen.h>

#include <cstring>

#include "base/error.h"

namespace lmoe::train {

io::TensorView view_bytes(const std::string& name, const at::Tensor& tensor) {
  LMOE_ASSERT(tensor.is_contiguous() && tensor.device().is_cpu());
  io::TensorView view;
  view.name = name;
  view.dtype = tensor.scalar_type() == at::kDouble ? io::DType::kF64 : io::DType::kF32;
  view.shape = tensor.sizes().vec();
  view.bytes = {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
  return view;
}

void copy_bytes(const io::TensorView& from, at::Tensor to) {
  const io::TensorView expected = view_bytes(from.name, to);
  LMOE_CHECK_DATA(from.dtype == expected.dtype && from.shape == expected.shape, "[resume] tensor ",
                  from.name, ": given ", io::dtype_name(from.dtype), " ", from.shape_text(),
                  ", expected ", io::dtype_name(expected.dtype), " ", expected.shape_text());
  if (!from.bytes.empty()) std::memcpy(to.mutable_data_ptr(), from.bytes.data(), from.bytes.size());
}

}  // namespace lmoe::train
