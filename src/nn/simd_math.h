// Arithmetic for loops the compiler vectorises: loads and stores of stored types, exp, sigmoid.
//
// LMOE_CLONES compiles a function once per instruction set and chooses at load time, so a build for
// any x86-64 runs AVX2 or AVX-512 code where the processor has it. A template gets its clones only
// by explicit instantiation (GCC 12), so it stands on the outermost function and what it calls is
// LMOE_INLINE. Levels of x86-64 are chosen by features; names of processors would be chosen by
// model.
#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LMOE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LMOE_CLONES
#endif
#define LMOE_INLINE inline __attribute__((always_inline))

namespace lmoe::nn::simd {

LMOE_INLINE float load(float value) { return value; }
LMOE_INLINE double load(double value) { return value; }
LMOE_INLINE float load(c10::BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.x) << 16);
}

LMOE_INLINE void store(float& place, float value) { place = value; }
LMOE_INLINE void store(double& place, double value) { place = value; }
/// Rounds to nearest, ties to even; NaN stays NaN.
LMOE_INLINE void store(c10::BFloat16& place, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  place.x = static_cast<uint16_t>(value != value ? 0x7FC0u : rounded);
}

/// About 2 units in the last place; saturates at e^-87.3 and e^88, NaN stays NaN. Written without
/// branches, so that loops around it vectorise.
LMOE_INLINE float exp(float x) {
  constexpr float kLowest = -87.3f, kHighest = 88.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  const float above = x < kLowest ? kLowest : x;
  const float clamped = above > kHighest ? kHighest : above;
  const float whole = (clamped * 1.44269504f + kRound) - kRound;
  const float r = (clamped - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * std::bit_cast<float>((static_cast<int>(whole) + 127) << 23);
}
LMOE_INLINE double exp(double x) { return std::exp(x); }

template <class A>
LMOE_INLINE A sigmoid(A x) {
  return A(1) / (A(1) + exp(-x));
}
/// tanh with an absolute error of a few 1e-7 in float.
LMOE_INLINE float tanh(float x) { return 1.0f - 2.0f / (1.0f + exp(2.0f * x)); }
LMOE_INLINE double tanh(double x) { return std::tanh(x); }

}  // namespace lmoe::nn::simd
