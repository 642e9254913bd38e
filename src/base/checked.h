// Arithmetic on sizes that come from files: overflow is an error, never a wrap.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

#include "base/error.h"

namespace lmoe {

inline std::optional<uint64_t> try_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> try_mul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// Throws kCorruptData on overflow; `what` names the quantity.
inline uint64_t checked_add(uint64_t a, uint64_t b, const char* what) {
  const auto sum = try_add(a, b);
  LMOE_CHECK_DATA(sum, "[size] ", what, " overflows: ", a, " + ", b);
  return *sum;
}

/// Throws kCorruptData on overflow; `what` names the quantity.
inline uint64_t checked_mul(uint64_t a, uint64_t b, const char* what) {
  const auto product = try_mul(a, b);
  LMOE_CHECK_DATA(product, "[size] ", what, " overflows: ", a, " * ", b);
  return *product;
}

/// Throws kCorruptData when `value` does not fit `To`; `what` names the quantity.
template <class To, class From>
To checked_cast(From value, const char* what) {
  static_assert(std::is_integral_v<To> && std::is_integral_v<From>);
  const To result = static_cast<To>(value);
  const bool same = static_cast<From>(result) == value && ((result < To{}) == (value < From{}));
  LMOE_CHECK_DATA(same, "[size] ", what, " out of range: given ", +value);
  return result;
}

}  // namespace lmoe
