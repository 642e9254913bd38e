// Half floats, where they are numbers and not bytes.
#pragma once

#include <bit>
#include <cstdint>

namespace lmoe::kernels {

/// IEEE half to single, exact, subnormals, infinities and NaN included; without branches so that
/// loops vectorise.
[[gnu::always_inline]] inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fffU) << 13;
  const uint32_t normal = magnitude + (112U << 23);
  const uint32_t special = normal + (112U << 23);
  // A subnormal is its mantissa times 2^-24; put under an exponent, one subtraction normalises it.
  const float subnormal =
      std::bit_cast<float>(magnitude + (113U << 23)) - std::bit_cast<float>(113U << 23);
  const uint32_t bits = magnitude < (1U << 23)    ? std::bit_cast<uint32_t>(subnormal)
                        : magnitude < (31U << 23) ? normal
                                                  : special;
  return std::bit_cast<float>(bits | sign);
}

}  // namespace lmoe::kernels
