#include "io/quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/half_float.h"

namespace lmoe::io {
namespace {

constexpr int kBlock = 32;

uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return 0x7FC0U;
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// False when it is beyond what a half float holds.
bool put_half(float value, std::byte* out) {
  const uint16_t half = float_to_half(value);
  std::memcpy(out, &half, sizeof(half));
  return std::isfinite(kernels::half_to_float(half));
}

bool encode_q8_0(const float* in, std::byte* out) {
  float largest = 0;
  bool is_finite = true;
  for (int j = 0; j < kBlock; ++j) {
    largest = std::max(largest, std::fabs(in[j]));
    is_finite = is_finite && std::isfinite(in[j]);
  }
  const float d = largest / 127;
  if (!is_finite || !put_half(d, out)) return false;
  const float inverse = d > 0 ? 1 / d : 0;
  for (int j = 0; j < kBlock; ++j)
    out[2 + j] = static_cast<std::byte>(static_cast<int8_t>(std::round(in[j] * inverse)));
  return true;
}

bool encode_q4_1(const float* in, std::byte* out) {
  const auto [least, most] = std::minmax_element(in, in + kBlock);
  const float smallest = *least, d = (*most - smallest) / 15;
  const bool is_finite = std::all_of(in, in + kBlock, [](float x) { return std::isfinite(x); });
  if (!is_finite || !put_half(d, out) || !put_half(smallest, out + 2)) return false;
  const float inverse = d > 0 ? 1 / d : 0;
  const auto number = [&](float x) {
    return std::min(15, static_cast<int>(std::floor((x - smallest) * inverse + 0.5F)));
  };
  for (int j = 0; j < kBlock / 2; ++j)
    out[4 + j] = static_cast<std::byte>(number(in[j]) | (number(in[j + kBlock / 2]) << 4));
  return true;
}

template <bool (*encode)(const float*, std::byte*)>
bool encode_blocks(DType dtype, const float* in, int64_t elements, std::byte* out) {
  bool is_whole = true;
  for (int64_t i = 0; i < elements / kBlock; ++i)
    is_whole = encode(in + i * kBlock, out + i * block_bytes(dtype)) && is_whole;
  return is_whole;
}

}  // namespace

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  constexpr uint32_t kInfinite = 255U << 23, kTooLarge = 0x477FF000U;  // halfway above 65504
  constexpr uint32_t kSmallestNormal = 113U << 23;                     // 2^-14
  if (magnitude > kInfinite) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= kTooLarge) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < kSmallestNormal) {
    // Added to 0.5, whose last bit is worth 2^-24 like a half's last one: the sum rounds.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(sum) - (126U << 23)));
  }
  const uint32_t rounded = magnitude - (112U << 23) + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

bool encode_elements(DType dtype, const float* in, int64_t elements, std::byte* out) {
  switch (dtype) {
    case DType::kBF16:
      for (int64_t i = 0; i < elements; ++i) {
        const uint16_t value = float_to_bfloat16(in[i]);
        std::memcpy(out + 2 * i, &value, sizeof(value));
      }
      return true;
    case DType::kQ8_0:
      return encode_blocks<encode_q8_0>(dtype, in, elements, out);
    case DType::kQ4_1:
      return encode_blocks<encode_q4_1>(dtype, in, elements, out);
    default:
      fail(ErrorCode::kUnsupported, "[quantise] nothing is written as type ", dtype_name(dtype));
  }
}

}  // namespace lmoe::io
