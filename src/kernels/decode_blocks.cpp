// Blocks of 32 in vectors; the rest are plain loops, which the compiler makes as fast.
#include "kernels/decode_blocks.h"

#include <array>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/decode_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/half_float.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
HWY_INLINE T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

HWY_INLINE float load_half(const uint8_t* bytes) { return half_to_float(load<uint16_t>(bytes)); }

HWY_INLINE void decode(F16 /*layout*/, const uint8_t* in, float* out) { *out = load_half(in); }

HWY_INLINE void decode(BF16 /*layout*/, const uint8_t* in, float* out) {
  *out = std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(in)) << 16);
}

/// 32 numbers of a block, less `zero`: the lower halves of 16 bytes, then the upper ones.
HWY_INLINE void unpack_nibbles(const uint8_t* bytes, int zero, int8_t* quants) {
  const hn::CappedTag<int8_t, 16> d;
  const hn::Rebind<uint8_t, decltype(d)> plain;
  const auto lowest = hn::Set(d, static_cast<int8_t>(zero));
  for (size_t j = 0; j < 16; j += hn::Lanes(d)) {
    const auto both = hn::LoadU(plain, bytes + j);
    const auto lower = hn::BitCast(d, hn::And(both, hn::Set(plain, 15)));
    const auto upper = hn::BitCast(d, hn::ShiftRight<4>(both));
    hn::StoreU(hn::Sub(lower, lowest), d, quants + j);
    hn::StoreU(hn::Sub(upper, lowest), d, quants + 16 + j);
  }
}

/// Adds 16 to those of 32 numbers whose bit is set.
HWY_INLINE void add_fifth_bits(const uint8_t* bits, int8_t* quants) {
  int8_t added[32];
  for (int j = 0; j < 4; ++j) {
    // Bit k of a byte stays in byte k of eight copies, and becomes 16 whatever k.
    const uint64_t each = (bits[j] * 0x0101010101010101U) & 0x8040201008040201U;
    const uint64_t sixteens = ((each + 0x7F7F7F7F7F7F7F7FU) & 0x8080808080808080U) >> 3;
    std::memcpy(added + 8 * j, &sixteens, sizeof(sixteens));
  }
  const hn::CappedTag<int8_t, 16> d;
  for (size_t j = 0; j < 32; j += hn::Lanes(d))
    hn::StoreU(hn::Add(hn::LoadU(d, quants + j), hn::LoadU(d, added + j)), d, quants + j);
}

/// out = step * quants + minimum, 32 numbers; a minimum of -0 changes nothing.
HWY_INLINE void put(const int8_t* quants, float step, float minimum, float* out) {
  const hn::CappedTag<float, 32> d;
  const hn::Rebind<int8_t, decltype(d)> narrow;
  const hn::Rebind<int32_t, decltype(d)> wide;
  for (size_t j = 0; j < 32; j += hn::Lanes(d)) {
    const auto values = hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(narrow, quants + j)));
    hn::StoreU(hn::Add(hn::Mul(hn::Set(d, step), values), hn::Set(d, minimum)), d, out + j);
  }
}

HWY_INLINE void decode(Q4_0 /*layout*/, const uint8_t* in, float* out) {
  int8_t quants[32];
  unpack_nibbles(in + 2, 8, quants);
  put(quants, load_half(in), -0.0F, out);
}

HWY_INLINE void decode(Q4_1 /*layout*/, const uint8_t* in, float* out) {
  int8_t quants[32];
  unpack_nibbles(in + 4, 0, quants);
  put(quants, load_half(in), load_half(in + 2), out);
}

HWY_INLINE void decode(Q5_0 /*layout*/, const uint8_t* in, float* out) {
  int8_t quants[32];
  unpack_nibbles(in + 6, 16, quants);
  add_fifth_bits(in + 2, quants);
  put(quants, load_half(in), -0.0F, out);
}

HWY_INLINE void decode(Q5_1 /*layout*/, const uint8_t* in, float* out) {
  int8_t quants[32];
  unpack_nibbles(in + 8, 0, quants);
  add_fifth_bits(in + 4, quants);
  put(quants, load_half(in), load_half(in + 2), out);
}

HWY_INLINE void decode(Q8_0 /*layout*/, const uint8_t* in, float* out) {
  put(reinterpret_cast<const int8_t*>(in + 2), load_half(in), -0.0F, out);
}

struct ScaleAndMin {
  int scale;
  int minimum;
};

/// Six-bit scale and minimum of sub-block `s` out of the 12 bytes that Q4_K and Q5_K share.
HWY_INLINE ScaleAndMin unpack_scale(const uint8_t* scales, int s) {
  if (s < 4) return {scales[s] & 63, scales[s + 4] & 63};
  return {(scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4),
          (scales[s + 4] >> 4) | ((scales[s] >> 6) << 4)};
}

/// Q4_K when `high` is null, else Q5_K with a fifth bit in `high`.
HWY_INLINE void decode_k(const uint8_t* in,
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

HWY_INLINE void decode(Q4_K /*layout*/, const uint8_t* in, float* out) {
  decode_k(in, nullptr, in + 16, out);
}

HWY_INLINE void decode(Q5_K /*layout*/, const uint8_t* in, float* out) {
  decode_k(in, in + 16, in + 48, out);
}

HWY_INLINE void decode(Q6_K /*layout*/, const uint8_t* in, float* out) {
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

template <class Layout>
void decode_blocks(const uint8_t* __restrict in, int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i)
    decode(Layout(), in + i * Layout::kBytes, out + i * Layout::kElements);
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class Layout>
void decode_blocks(const uint8_t* in, int64_t count, float* out) {
  LMOE_DISPATCH(decode_blocks<Layout>)(in, count, out);
}

#define LMOE_INSTANTIATE(LAYOUT) \
  template void decode_blocks<LAYOUT>(const uint8_t*, int64_t, float*);
LMOE_INSTANTIATE(F16)
LMOE_INSTANTIATE(BF16)
LMOE_INSTANTIATE(Q4_0)
LMOE_INSTANTIATE(Q4_1)
LMOE_INSTANTIATE(Q5_0)
LMOE_INSTANTIATE(Q5_1)
LMOE_INSTANTIATE(Q8_0)
LMOE_INSTANTIATE(Q4_K)
LMOE_INSTANTIATE(Q5_K)
LMOE_INSTANTIATE(Q6_K)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
