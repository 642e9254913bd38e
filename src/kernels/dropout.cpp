#include "kernels/dropout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

/// MurmurHash3's finalizer: every bit of the place moves every bit of the number.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V scramble(D d, V h) {
  h = hn::Mul(hn::Xor(h, hn::ShiftRight<16>(h)), hn::Set(d, 0x85ebca6bU));
  h = hn::Mul(hn::Xor(h, hn::ShiftRight<13>(h)), hn::Set(d, 0xc2b2ae35U));
  return hn::Xor(h, hn::ShiftRight<16>(h));
}

HWY_INLINE uint32_t scramble(uint64_t h) {
  const hn::CappedTag<uint32_t, 1> d;
  return hn::GetLane(scramble(d, hn::Set(d, static_cast<uint32_t>(h))));
}

/// 0 where `is_dropped`, else `kept`.
template <class D32, class M>
HWY_INLINE auto factors(hn::ScalableTag<float> d, D32 d32, M is_dropped, float kept) {
  return hn::BitCast(d, hn::IfThenZeroElse(is_dropped, hn::BitCast(d32, hn::Set(d, kept))));
}
template <class D32, class M>
HWY_INLINE auto factors(hn::ScalableTag<double> d, D32 d32, M is_dropped, double kept) {
  const auto zero_or_one = hn::IfThenZeroElse(is_dropped, hn::Set(d32, 1));
  return hn::Mul(hn::Set(d, kept),
                 hn::PromoteTo(d, hn::BitCast(hn::RebindToSigned<D32>(), zero_or_one)));
}

template <class T>
void dropout_row(const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to) {
  using A = accumulate_t<T>;
  constexpr uint32_t kSpread = 0x9e3779b1U;
  const hn::ScalableTag<A> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const auto place = static_cast<uint64_t>(row);
  const uint32_t key =
      scramble(mask.seed ^ place) ^ scramble((mask.seed >> 32) + (place >> 32) + 0x9e3779b9U);
  const auto lane = hn::Mul(hn::Iota(d32, 0), hn::Set(d32, kSpread));
  const auto threshold = hn::Set(d32, static_cast<uint32_t>(mask.rate * 0x1.0p32));
  const auto kept = static_cast<A>(1.0 / (1.0 - mask.rate));
  for_each_vector(d, count, [&](auto lanes, int64_t i) LMOE_LANES {
    const uint32_t first = static_cast<uint32_t>(i) * kSpread + key;
    const auto draw = scramble(d32, hn::Add(lane, hn::Set(d32, first)));
    const auto factor = factors(d, d32, hn::Lt(draw, threshold), kept);
    lanes.store(hn::Mul(lanes.load(from + i), factor), to + i);
  });
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void dropout_row(const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to) {
  LMOE_DISPATCH(dropout_row<T>)(mask, row, from, count, to);
}

template void dropout_row<float>(const DropoutMask&, int64_t, const float*, int64_t, float*);
template void dropout_row<BFloat16>(
    const DropoutMask&, int64_t, const BFloat16*, int64_t, BFloat16*);
template void dropout_row<double>(const DropoutMask&, int64_t, const double*, int64_t, double*);

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
