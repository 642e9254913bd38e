#include "kernels/rope.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope.cpp"
#include <hwy/foreach_target.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

template <class T>
void rotate_rows(const T* x,
                 const accumulate_t<T>* cos,
                 const accumulate_t<T>* sin,
                 int64_t rows,
                 int64_t heads,
                 int64_t half,
                 bool inverse,
                 T* y) {
  using A = accumulate_t<T>;
  const hn::ScalableTag<A> d;
  const auto direction = hn::Set(d, inverse ? A(-1) : A(1));
  for (int64_t row = 0; row < rows; ++row, cos += half, sin += half) {
    for (int64_t head = 0; head < heads; ++head, x += 2 * half, y += 2 * half) {
      for_each_vector(d, half, [&](auto lanes, int64_t i) LMOE_LANES {
        const auto first = lanes.load(x + i), second = lanes.load(x + half + i);
        const auto c = lanes.load(cos + i), s = hn::Mul(direction, lanes.load(sin + i));
        lanes.store(hn::NegMulAdd(second, s, hn::Mul(first, c)), y + i);
        lanes.store(hn::MulAdd(first, s, hn::Mul(second, c)), y + half + i);
      });
    }
  }
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lmoe::kernels {

template <class T>
void rotate_rows(const T* x,
                 const accumulate_t<T>* cos,
                 const accumulate_t<T>* sin,
                 int64_t rows,
                 int64_t heads,
                 int64_t half,
                 bool inverse,
                 T* y) {
  LMOE_DISPATCH(rotate_rows<T>)(x, cos, sin, rows, heads, half, inverse, y);
}

template void rotate_rows<float>(
    const float*, const float*, const float*, int64_t, int64_t, int64_t, bool, float*);
template void rotate_rows<BFloat16>(
    const BFloat16*, const float*, const float*, int64_t, int64_t, int64_t, bool, BFloat16*);
template void rotate_rows<double>(
    const double*, const double*, const double*, int64_t, int64_t, int64_t, bool, double*);

}  // namespace lmoe::kernels
#endif  // HWY_ONCE
