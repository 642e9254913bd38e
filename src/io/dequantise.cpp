#include "io/dequantise.h"

#include <cstring>

#include "base/error.h"
#include "kernels/decode_blocks.h"

namespace lmoe::io {
namespace {

template <class Layout>
void decode(const std::byte* in, int64_t elements, float* out) {
  kernels::decode_blocks<Layout>(reinterpret_cast<const uint8_t*>(in), elements / Layout::kElements,
                                 out);
}

void narrow(const std::byte* in, int64_t elements, float* out) {
  for (int64_t i = 0; i < elements; ++i) {
    double value;
    std::memcpy(&value, in + i * int64_t{sizeof(double)}, sizeof(double));
    out[i] = static_cast<float>(value);
  }
}

}  // namespace

void decode_elements(DType dtype, const std::byte* in, int64_t elements, float* out) {
  if (elements == 0) return;
  switch (dtype) {
    case DType::kF64:
      return narrow(in, elements, out);
    case DType::kF32:
      std::memcpy(out, in, static_cast<size_t>(elements) * sizeof(float));
      return;
    case DType::kF16:
      return decode<kernels::F16>(in, elements, out);
    case DType::kBF16:
      return decode<kernels::BF16>(in, elements, out);
    case DType::kQ4_0:
      return decode<kernels::Q4_0>(in, elements, out);
    case DType::kQ4_1:
      return decode<kernels::Q4_1>(in, elements, out);
    case DType::kQ5_0:
      return decode<kernels::Q5_0>(in, elements, out);
    case DType::kQ5_1:
      return decode<kernels::Q5_1>(in, elements, out);
    case DType::kQ8_0:
      return decode<kernels::Q8_0>(in, elements, out);
    case DType::kQ4_K:
      return decode<kernels::Q4_K>(in, elements, out);
    case DType::kQ5_K:
      return decode<kernels::Q5_K>(in, elements, out);
    case DType::kQ6_K:
      return decode<kernels::Q6_K>(in, elements, out);
    default:
      fail(ErrorCode::kUnsupported, "[to_float32] given type ", dtype_name(dtype),
           ", expected a floating point or quantised type");
  }
}

}  // namespace lmoe::io
