// Vectors of stored values: loads that widen, stores that round, and loops whose last vector may be
// partial. Compiled once per instruction set.
#if defined(LMOE_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LMOE_KERNELS_LANES_INL_H_
#undef LMOE_KERNELS_LANES_INL_H_
#else
#define LMOE_KERNELS_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "kernels/stored_types.h"

// For lambdas that work on vectors.
#undef LMOE_LANES
#define LMOE_LANES HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// What a value is in memory, for Highway.
template <class T>
using Plain = std::conditional_t<std::is_same_v<T, BFloat16>, uint16_t, T>;

template <class D>
HWY_INLINE hn::Vec<D> widen(D /*d*/, hn::Vec<D> values) {
  return values;
}
template <class D>
HWY_INLINE hn::Vec<D> widen(D d, hn::Vec<hn::Rebind<uint16_t, D>> bits) {
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::Rebind<uint32_t, D>(), bits)));
}

template <class T, class D, HWY_IF_NOT_LANE_SIZE(Plain<T>, 2)>
HWY_INLINE hn::Vec<D> narrow(D /*d*/, hn::Vec<D> values) {
  return values;
}
/// Rounds to nearest, ties to even; NaN stays NaN.
template <class T, class D, HWY_IF_LANE_SIZE(Plain<T>, 2)>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, D>> narrow(D d, hn::Vec<D> values) {
  const hn::Rebind<uint32_t, D> wide;
  const auto bits = hn::BitCast(wide, values);
  const auto is_odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1));
  const auto rounded = hn::Add(bits, hn::Add(is_odd, hn::Set(wide, 0x7FFF)));
  const auto number = hn::IfThenElse(hn::Eq(values, values), hn::BitCast(d, rounded),
                                     hn::BitCast(d, hn::Set(wide, 0x7FC00000)));
  return hn::TruncateTo(hn::Rebind<uint16_t, D>(), hn::ShiftRight<16>(hn::BitCast(wide, number)));
}

/// How a loop's body touches memory: all lanes of a vector of D.
template <class D>
struct AllLanes {
  template <class T>
  HWY_INLINE hn::Vec<D> load(const T* from) const {
    return widen(D(),
                 hn::LoadU(hn::Rebind<Plain<T>, D>(), reinterpret_cast<const Plain<T>*>(from)));
  }
  template <class T>
  HWY_INLINE void store(hn::Vec<D> values, T* to) const {
    hn::StoreU(narrow<T>(D(), values), hn::Rebind<Plain<T>, D>(), reinterpret_cast<Plain<T>*>(to));
  }
  /// `values` in lanes that exist, `others` in the rest.
  HWY_INLINE hn::Vec<D> or_else(hn::Vec<D> values, hn::Vec<D> /*others*/) const { return values; }
};

/// The first `count` lanes; the others load as zero, and nothing beyond is read or written.
template <class D>
struct FirstLanes {
  size_t count;

  /// Whether masked access leaves what is masked out alone, as far as pages go.
  template <class P>
  static constexpr bool kHasMasks =
      !HWY_MEM_OPS_MIGHT_FAULT || (HWY_TARGET == HWY_AVX2 && !HWY_IS_ASAN && sizeof(P) >= 4);

  template <class T>
  HWY_INLINE hn::Vec<D> load(const T* from) const {
    using P = Plain<T>;
    const hn::Rebind<P, D> plain;
    if constexpr (kHasMasks<P>) {
      return widen(
          D(), hn::MaskedLoad(hn::FirstN(plain, count), plain, reinterpret_cast<const P*>(from)));
    } else {
      HWY_ALIGN P buffer[hn::MaxLanes(D())] = {};
      std::memcpy(buffer, from, count * sizeof(P));
      return widen(D(), hn::LoadU(plain, buffer));
    }
  }
  template <class T>
  HWY_INLINE void store(hn::Vec<D> values, T* to) const {
    using P = Plain<T>;
    const hn::Rebind<P, D> plain;
    if constexpr (kHasMasks<P>) {
      hn::BlendedStore(narrow<T>(D(), values), hn::FirstN(plain, count), plain,
                       reinterpret_cast<P*>(to));
    } else {
      HWY_ALIGN P buffer[hn::MaxLanes(D())];
      hn::StoreU(narrow<T>(D(), values), plain, buffer);
      std::memcpy(to, buffer, count * sizeof(P));
    }
  }
  HWY_INLINE hn::Vec<D> or_else(hn::Vec<D> values, hn::Vec<D> others) const {
    return hn::IfThenElse(hn::FirstN(D(), count), values, others);
  }
};

/// body(lanes, i) for the vectors that begin at i = 0, Lanes(d), … of `count` values.
template <class D, class Body>
HWY_INLINE void for_each_vector(D d, int64_t count, const Body& body) {
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= count; i += step) body(AllLanes<D>(), i);
  if (i < count) body(FirstLanes<D>{static_cast<size_t>(count - i)}, i);
}

/// sum = body(lanes, i, sum) over all vectors, from `start` on; four sums at a time, so that none
/// waits for the one before, and `join`ed in an order that depends on `count` alone.
template <class D, class Body, class Join>
HWY_INLINE hn::Vec<D> fold(
    D d, int64_t count, hn::Vec<D> start, const Body& body, const Join& join) {
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  const AllLanes<D> all;
  auto a = start, b = start, c = start, e = start;
  int64_t i = 0;
  for (; i + 4 * step <= count; i += 4 * step) {
    a = body(all, i, a);
    b = body(all, i + step, b);
    c = body(all, i + 2 * step, c);
    e = body(all, i + 3 * step, e);
  }
  for (; i + step <= count; i += step) a = body(all, i, a);
  if (i < count) b = body(FirstLanes<D>{static_cast<size_t>(count - i)}, i, b);
  return join(join(a, b), join(c, e));
}

/// The sum of all lanes of a `fold` from zero. The body adds nothing for lanes that are zero.
template <class D, class Body>
HWY_INLINE hn::TFromD<D> sum_over(D d, int64_t count, const Body& body) {
  const auto add = [](auto a, auto b) LMOE_LANES { return hn::Add(a, b); };
  return hn::GetLane(hn::SumOfLanes(d, fold(d, count, hn::Zero(d), body, add)));
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
