#include <cstring>

#include "base/error.h"
#include "io/dequantise.h"
#include "io/tensor_view.h"

namespace lmoe::io {
namespace {

template <class Stored, class Convert>
void convert_elements(const TensorView& view, std::span<float> out, Convert convert) {
  const std::byte* in = view.bytes.data();
  for (size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, in + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(value);
  }
}

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

void to_float32(const TensorView& view, std::span<float> out) {
  check_sizes(view, out.size());
  if (out.empty()) return;
  switch (view.dtype) {
    case DType::kF32:
      std::memcpy(out.data(), view.bytes.data(), view.bytes.size());
      return;
    case DType::kF64:
      return convert_elements<double>(view, out, [](double v) { return static_cast<float>(v); });
    case DType::kF16:
      return convert_elements<uint16_t>(view, out, half_to_float);
    case DType::kBF16:
      return convert_elements<uint16_t>(view, out, bfloat16_to_float);
    case DType::kI64:
    case DType::kI32:
    case DType::kI16:
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      fail(ErrorCode::kUnsupported, "[to_float32] tensor ", view.name, " has type ",
           dtype_name(view.dtype), ", expected a floating point or quantised type");
    default:
      dequantise_blocks(view.dtype, view.bytes.data(),
                        static_cast<int64_t>(out.size()) / block_elements(view.dtype), out.data());
  }
}

}  // namespace lmoe::io
