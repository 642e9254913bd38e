// exp, sigmoid, tanh and erf of vectors. Compiled once per instruction set.
//
// Highway's own Exp turns NaN into 0 and is slower; these keep NaN, so that a loss that diverged is
// seen.
#if defined(LMOE_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LMOE_KERNELS_MATH_INL_H_
#undef LMOE_KERNELS_MATH_INL_H_
#else
#define LMOE_KERNELS_MATH_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <iterator>

HWY_BEFORE_NAMESPACE();
namespace lmoe::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// e^x = 2^n (1 + r + r^2 p(r)), with n the nearest integer to x / ln 2 and r what is left of x.
template <class A>
struct ExpTerms;

template <>
struct ExpTerms<float> {
  static constexpr int kMantissaBits = 23;
  static constexpr float kLowest = -87.3f, kHighest = 88.0f;
  static constexpr float kBias = 127.0f;
  static constexpr float kRound =
      12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  /// p, the highest power first; Cephes.
  static constexpr float kTerms[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                     4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
};

template <>
struct ExpTerms<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr double kLowest = -708.0, kHighest = 709.0;
  static constexpr double kBias = 1023.0;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLn2High = 0.6931471805596629565116018,
                          kLn2Low = 0.28235290563031577122588448175e-12;
  /// p, the highest power first; SLEEF.
  static constexpr double kTerms[] = {2.08860621107283687536341e-9,
                                      2.51112930892876518610661e-8,
                                      2.75573911234900471893338e-7,
                                      2.75572362911928827629423e-6,
                                      2.4801587159235472998791e-5,
                                      0.000198412698960509205564975,
                                      0.00138888888889774492207962,
                                      0.00833333333331652721664984,
                                      0.0416666666666665047591422,
                                      0.166666666666666851703837,
                                      0.5};
};

/// Within a few units in the last place; 0 below e^-87.3 (double: e^-708), saturates at e^88
/// (e^709), NaN stays NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp(D d, V x) {
  using Terms = ExpTerms<hn::TFromD<D>>;
  const auto unsigned_d = hn::RebindToUnsigned<D>();
  const V highest = hn::Set(d, Terms::kHighest);
  const V bounded = hn::IfThenElse(hn::Gt(x, highest), highest, x);
  // The low bits of `shifted` are n + bias, the exponent of 2^n.
  const V shifted = hn::MulAdd(bounded, hn::Set(d, hn::TFromD<D>(1.4426950408889634)),
                               hn::Set(d, Terms::kRound + Terms::kBias));
  const V n = hn::Sub(shifted, hn::Set(d, Terms::kRound + Terms::kBias));
  const V r = hn::NegMulAdd(n, hn::Set(d, Terms::kLn2Low),
                            hn::NegMulAdd(n, hn::Set(d, Terms::kLn2High), bounded));
  V p = hn::Set(d, Terms::kTerms[0]);
  for (size_t i = 1; i < std::size(Terms::kTerms); ++i)
    p = hn::MulAdd(p, r, hn::Set(d, Terms::kTerms[i]));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, hn::TFromD<D>(1)));
  const V power =
      hn::BitCast(d, hn::ShiftLeft<Terms::kMantissaBits>(hn::BitCast(unsigned_d, shifted)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, Terms::kLowest)), hn::Mul(p, power));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, hn::TFromD<D>(1));
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

/// The absolute error is a few units in the last place of 1.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V tanh(D d, V x) {
  const V one = hn::Set(d, hn::TFromD<D>(1)), two = hn::Set(d, hn::TFromD<D>(2));
  return hn::Sub(one, hn::Div(two, hn::Add(one, exp(d, hn::Mul(two, x)))));
}

/// Lane by lane: only one rarely used activation needs it.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V erf(D d, V x) {
  HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(D())];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = std::erf(lanes[i]);
  return hn::Load(d, lanes);
}

}  // namespace lmoe::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
