#include "io/dequantise.h"

#include <array>
#include <cstring>

#include "base/error.h"

// Compiled once per instruction set and chosen when the program starts; what these functions call
// is inlined. No instruction set may fuse a product and a sum (CMakeLists.txt): all give the same
// bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LMOE_DECODER_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LMOE_DECODER_CLONES
#endif
#define LMOE_DECODER_INLINE inline __attribute__((always_inline))

namespace lmoe::io {
namespace {

template <class T>
LMOE_DECODER_INLINE T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

LMOE_DECODER_INLINE float load_half(const uint8_t* bytes) {
  return half_to_float(load<uint16_t>(bytes));
}

/// A copy of a block's bytes: what is written cannot change it, so the loops vectorise.
using Nibbles = std::array<uint8_t, 16>;

LMOE_DECODER_INLINE void decode_q4_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const Nibbles quants = load<Nibbles>(in + 2);
  for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>((quants[j] & 15) - 8);
  for (int j = 0; j < 16; ++j) out[j + 16] = d * static_cast<float>((quants[j] >> 4) - 8);
}

LMOE_DECODER_INLINE void decode_q4_1(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  const Nibbles quants = load<Nibbles>(in + 4);
  for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>(quants[j] & 15) + m;
  for (int j = 0; j < 16; ++j) out[j + 16] = d * static_cast<float>(quants[j] >> 4) + m;
}

/// The 32 five-bit numbers of q5_0 and q5_1.
LMOE_DECODER_INLINE void unpack_q5(uint32_t high, const uint8_t* low, int32_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<int32_t>((low[j] & 15U) | (((high >> j) & 1U) << 4));
    out[j + 16] = static_cast<int32_t>((low[j] >> 4U) | (((high >> (j + 16)) & 1U) << 4));
  }
}

LMOE_DECODER_INLINE void decode_q5_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  int32_t quants[32];
  unpack_q5(load<uint32_t>(in + 2), in + 6, quants);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(quants[j] - 16);
}

LMOE_DECODER_INLINE void decode_q5_1(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  int32_t quants[32];
  unpack_q5(load<uint32_t>(in + 4), in + 8, quants);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(quants[j]) + m;
}

LMOE_DECODER_INLINE void decode_q8_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const auto quants = load<std::array<int8_t, 32>>(in + 2);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(quants[j]);
}

struct ScaleAndMin {
  int scale;
  int minimum;
};

/// Six-bit scale and minimum of sub-block `s` out of the 12 bytes that q4_K and q5_K share.
LMOE_DECODER_INLINE ScaleAndMin unpack_scale(const uint8_t* scales, int s) {
  if (s < 4) return {scales[s] & 63, scales[s + 4] & 63};
  return {(scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4),
          (scales[s + 4] >> 4) | ((scales[s] >> 6) << 4)};
}

/// q4_K when `high` is null, else q5_K with a fifth bit in `high`.
LMOE_DECODER_INLINE void decode_k(const uint8_t* in,
                                  const uint8_t* high,
                                  const uint8_t* quants,
                                  float* out) {
  const float d = load_half(in);
  const float dmin = load_half(in + 2);
  for (int s = 0; s < 8; ++s) {
    const auto [scale, minimum] = unpack_scale(in + 4, s);
    const float step = d * static_cast<float>(scale);
    const float offset = dmin * static_cast<float>(minimum);
    const uint8_t* chunk = quants + 32 * (s / 2);
    const int shift = 4 * (s % 2);
    for (int l = 0; l < 32; ++l) {
      int q = (chunk[l] >> shift) & 15;
      if (high != nullptr) q |= ((high[l] >> s) & 1) << 4;
      out[32 * s + l] = step * static_cast<float>(q) - offset;
    }
  }
}

LMOE_DECODER_INLINE void decode_q4_k(const uint8_t* in, float* out) {
  decode_k(in, nullptr, in + 16, out);
}
LMOE_DECODER_INLINE void decode_q5_k(const uint8_t* in, float* out) {
  decode_k(in, in + 16, in + 48, out);
}

LMOE_DECODER_INLINE void decode_q6_k(const uint8_t* in, float* out) {
  const auto scales = load<std::array<int8_t, 16>>(in + 192);
  const float d = load_half(in + 208);
  for (int half = 0; half < 2; ++half) {
    const auto low = load<std::array<uint8_t, 64>>(in + 64 * half);
    const auto high = load<std::array<uint8_t, 32>>(in + 128 + 32 * half);
    for (int run = 0; run < 8; ++run) {  // of 16 with one scale
      const int part = run / 2, first = 16 * (run % 2);
      const float step = d * static_cast<float>(scales[8 * half + run]);
      float* values = out + 128 * half + 16 * run;
      for (int l = 0; l < 16; ++l) {
        const int nibble = (low[32 * (part % 2) + first + l] >> (4 * (part / 2))) & 15;
        const int q = nibble | (((high[first + l] >> (2 * part)) & 3) << 4);
        values[l] = step * static_cast<float>(q - 32);
      }
    }
  }
}

template <void (*decode)(const uint8_t*, float*)>
LMOE_DECODER_INLINE void decode_blocks(DType dtype,
                                       const uint8_t* in,
                                       int64_t elements,
                                       float* out) {
  const int64_t bytes = block_bytes(dtype), width = block_elements(dtype);
  for (int64_t i = 0; i < elements / width; ++i) decode(in + i * bytes, out + i * width);
}

template <float (*convert)(uint16_t)>
LMOE_DECODER_INLINE void decode_16_bits(const uint8_t* __restrict in,
                                        int64_t elements,
                                        float* __restrict out) {
  for (int64_t i = 0; i < elements; ++i) out[i] = convert(load<uint16_t>(in + 2 * i));
}

/// False for types that are not decoded.
LMOE_DECODER_CLONES bool decode(DType dtype, const uint8_t* in, int64_t elements, float* out) {
  switch (dtype) {
    case DType::kF16:
      decode_16_bits<half_to_float>(in, elements, out);
      return true;
    case DType::kBF16:
      decode_16_bits<bfloat16_to_float>(in, elements, out);
      return true;
    case DType::kQ4_0:
      decode_blocks<decode_q4_0>(dtype, in, elements, out);
      return true;
    case DType::kQ4_1:
      decode_blocks<decode_q4_1>(dtype, in, elements, out);
      return true;
    case DType::kQ5_0:
      decode_blocks<decode_q5_0>(dtype, in, elements, out);
      return true;
    case DType::kQ5_1:
      decode_blocks<decode_q5_1>(dtype, in, elements, out);
      return true;
    case DType::kQ8_0:
      decode_blocks<decode_q8_0>(dtype, in, elements, out);
      return true;
    case DType::kQ4_K:
      decode_blocks<decode_q4_k>(dtype, in, elements, out);
      return true;
    case DType::kQ5_K:
      decode_blocks<decode_q5_k>(dtype, in, elements, out);
      return true;
    case DType::kQ6_K:
      decode_blocks<decode_q6_k>(dtype, in, elements, out);
      return true;
    default:
      return false;
  }
}

}  // namespace

void decode_elements(DType dtype, const std::byte* in, int64_t elements, float* out) {
  if (elements == 0) return;
  if (dtype == DType::kF32) {
    std::memcpy(out, in, static_cast<size_t>(elements) * sizeof(float));
    return;
  }
  if (dtype == DType::kF64) {
    for (int64_t i = 0; i < elements; ++i)
      out[i] = static_cast<float>(
          load<double>(reinterpret_cast<const uint8_t*>(in) + i * int64_t{sizeof(double)}));
    return;
  }
  if (!decode(dtype, reinterpret_cast<const uint8_t*>(in), elements, out))
    fail(ErrorCode::kUnsupported, "[to_float32] given type ", dtype_name(dtype),
         ", expected a floating point or quantised type");
}

}  // namespace lmoe::io
