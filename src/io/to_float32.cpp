#include "base/error.h"
#include "io/dequantise.h"
#include "io/tensor_view.h"

namespace lmoe::io {
namespace {

void check_sizes(const TensorView& view, size_t given) {
  const int64_t elements = view.elements();
  LMOE_CHECK_ARG(given == static_cast<size_t>(elements), "[to_float32] tensor ", view.name,
                 ": given room for ", given, " elements, expected ", elements);
  LMOE_CHECK_ARG(
      elements % block_elements(view.dtype) == 0 &&
          view.bytes.size() ==
              static_cast<size_t>(elements / block_elements(view.dtype) * block_bytes(view.dtype)),
      "[to_float32] tensor ", view.name, " of type ", dtype_name(view.dtype), " ",
      view.shape_text(), " has ", view.bytes.size(), " bytes");
}

}  // namespace

void check_floating(const TensorView& view) {
  switch (view.dtype) {
    case DType::kI64:
    case DType::kI32:
    case DType::kI16:
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      fail(ErrorCode::kUnsupported, "[to_float32] tensor ", view.name, " has type ",
           dtype_name(view.dtype), ", expected a floating point or quantised type");
    default:
      return;
  }
}

void to_float32(const TensorView& view, std::span<float> out) {
  check_sizes(view, out.size());
  check_floating(view);
  decode_elements(view.dtype, view.bytes.data(), static_cast<int64_t>(out.size()), out.data());
}

}  // namespace lmoe::io
