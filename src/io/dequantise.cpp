#include "io/dequantise.h"

#include <cstring>

#include "base/error.h"

namespace lmoe::io {
namespace {

template <class T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

float load_half(const uint8_t* bytes) { return half_to_float(load<uint16_t>(bytes)); }

void decode_q4_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const uint8_t* quants = in + 2;
  for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>((quants[j] & 15) - 8);
  for (int j = 0; j < 16; ++j) out[j + 16] = d * static_cast<float>((quants[j] >> 4) - 8);
}

void decode_q4_1(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  const uint8_t* quants = in + 4;
  for (int j = 0; j < 16; ++j) out[j] = d * static_cast<float>(quants[j] & 15) + m;
  for (int j = 0; j < 16; ++j) out[j + 16] = d * static_cast<float>(quants[j] >> 4) + m;
}

/// The 32 five-bit numbers of q5_0 and q5_1.
void unpack_q5(uint32_t high, const uint8_t* low, int32_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<int32_t>((low[j] & 15U) | (((high >> j) & 1U) << 4));
    out[j + 16] = static_cast<int32_t>((low[j] >> 4U) | (((high >> (j + 16)) & 1U) << 4));
  }
}

void decode_q5_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  int32_t quants[32];
  unpack_q5(load<uint32_t>(in + 2), in + 6, quants);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(quants[j] - 16);
}

void decode_q5_1(const uint8_t* in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  int32_t quants[32];
  unpack_q5(load<uint32_t>(in + 4), in + 8, quants);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(quants[j]) + m;
}

void decode_q8_0(const uint8_t* in, float* out) {
  const float d = load_half(in);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(static_cast<int8_t>(in[2 + j]));
}

struct ScaleAndMin {
  int scale;
  int minimum;
};

/// Six-bit scale and minimum of sub-block `s` out of the 12 bytes that q4_K and q5_K share.
ScaleAndMin unpack_scale(const uint8_t* scales, int s) {
  if (s < 4) return {scales[s] & 63, scales[s + 4] & 63};
  return {(scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4),
          (scales[s + 4] >> 4) | ((scales[s] >> 6) << 4)};
}

/// q4_K when `high` is null, else q5_K with a fifth bit in `high`.
void decode_k(const uint8_t* in, const uint8_t* high, const uint8_t* quants, float* out) {
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

void decode_q4_k(const uint8_t* in, float* out) { decode_k(in, nullptr, in + 16, out); }
void decode_q5_k(const uint8_t* in, float* out) { decode_k(in, in + 16, in + 48, out); }

void decode_q6_k(const uint8_t* in, float* out) {
  const uint8_t* low = in;
  const uint8_t* high = in + 128;
  const uint8_t* scales = in + 192;
  const float d = load_half(in + 208);
  for (int half = 0; half < 2; ++half) {
    for (int part = 0; part < 4; ++part) {
      for (int l = 0; l < 32; ++l) {
        const int nibble = (low[64 * half + 32 * (part % 2) + l] >> (4 * (part / 2))) & 15;
        const int q = nibble | (((high[32 * half + l] >> (2 * part)) & 3) << 4);
        const int e = 128 * half + 32 * part + l;
        const float step = d * static_cast<float>(static_cast<int8_t>(scales[e / 16]));
        out[e] = step * static_cast<float>(q - 32);
      }
    }
  }
}

template <void (*decode)(const uint8_t*, float*)>
void decode_all(DType dtype, const std::byte* in, int64_t blocks, float* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(in);
  for (int64_t i = 0; i < blocks; ++i)
    decode(bytes + i * block_bytes(dtype), out + i * block_elements(dtype));
}

}  // namespace

void dequantise_blocks(DType dtype, const std::byte* in, int64_t blocks, float* out) {
  switch (dtype) {
    case DType::kQ4_0:
      return decode_all<decode_q4_0>(dtype, in, blocks, out);
    case DType::kQ4_1:
      return decode_all<decode_q4_1>(dtype, in, blocks, out);
    case DType::kQ5_0:
      return decode_all<decode_q5_0>(dtype, in, blocks, out);
    case DType::kQ5_1:
      return decode_all<decode_q5_1>(dtype, in, blocks, out);
    case DType::kQ8_0:
      return decode_all<decode_q8_0>(dtype, in, blocks, out);
    case DType::kQ4_K:
      return decode_all<decode_q4_k>(dtype, in, blocks, out);
    case DType::kQ5_K:
      return decode_all<decode_q5_k>(dtype, in, blocks, out);
    case DType::kQ6_K:
      return decode_all<decode_q6_k>(dtype, in, blocks, out);
    default:
      fail(ErrorCode::kUnsupported, "[dequantise] no block decoder for type ", dtype_name(dtype));
  }
}

}  // namespace lmoe::io
