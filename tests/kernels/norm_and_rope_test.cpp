#include "kernels/every_target.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"

namespace lmoe::kernels::test {
namespace {

template <class T>
class NormAndRope : public testing::Test {};
TYPED_TEST_SUITE(NormAndRope, StoredTypes);

/// What the formulas give for rows of x, in double.
struct ExpectedNorm {
  std::vector<double> y, rstd, dx;
  double largest_term = 0;  ///< of the differences in dx
};

ExpectedNorm expected_norm(const std::vector<double>& x,
                           const std::vector<double>& weight,
                           const std::vector<double>& dy,
                           double eps) {
  ExpectedNorm expected;
  const size_t width = weight.size();
  for (size_t row = 0; row < x.size() / width; ++row) {
    const double *px = x.data() + row * width, *pdy = dy.data() + row * width;
    double squares = 0, dot = 0;
    for (size_t i = 0; i < width; ++i) {
      squares += px[i] * px[i];
      dot += pdy[i] * weight[i] * px[i];
    }
    const double n = static_cast<double>(width), scale = 1 / std::sqrt(squares / n + eps);
    expected.rstd.push_back(scale);
    for (size_t i = 0; i < width; ++i) {
      expected.y.push_back(px[i] * scale * weight[i]);
      expected.largest_term = std::max(expected.largest_term, std::abs(scale * pdy[i] * weight[i]));
      expected.dx.push_back(scale * pdy[i] * weight[i] - px[i] * scale * scale * scale * dot / n);
    }
  }
  return expected;
}

constexpr int64_t kNormRows = 3;
constexpr double kEps = 1e-5;

TYPED_TEST(NormAndRope, rms_norm_follows_its_formula) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  on_every_target([&] {
    for (int64_t width = 1; width <= kLongest; ++width) {
      const auto x = random_values<T>(kNormRows * width, 1, 3.0),
                 dy = random_values<T>(kNormRows * width, 2);
      const auto weight = random_values<A>(width, 3);
      Guarded<T> y(kNormRows * width), dx(kNormRows * width);
      Guarded<A> rstd(kNormRows);
      rms_norm_rows(x.data(), weight.data(), kEps, kNormRows, width, y.data(), rstd.data());
      rms_norm_backward_rows({.rows = x.data(), .rstd = rstd.data()}, weight.data(), dy.data(),
                             static_cast<const T*>(nullptr), kNormRows, width, dx.data());
      const ExpectedNorm expected = expected_norm(wide(x), wide(weight), wide(dy), kEps);
      expect_near(y.result(), expected.y, tolerance<T>());
      expect_near(rstd.result(), expected.rstd, tolerance<A>());
      expect_near(dx.result(), expected.dx, 4 * tolerance<T>(), expected.largest_term);
    }
  });
}

TYPED_TEST(NormAndRope, rms_norm_of_a_sum_and_its_gradient_from_the_output) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  on_every_target([&] {
    for (int64_t width = 1; width <= kLongest; ++width) {
      const int64_t count = kNormRows * width;
      const auto x = random_values<T>(count, 1, 3.0), addend = random_values<T>(count, 4),
                 dy = random_values<T>(count, 2), dsum = random_values<T>(count, 5);
      auto weight = random_values<A>(width, 3);
      for (A& w : weight) w = std::copysign(std::abs(w) + A(0.1), w);
      std::vector<A> inverse;
      for (const A w : weight) inverse.push_back(1 / w);
      Guarded<T> sum(count), y(count), dx(count);
      Guarded<A> rstd(kNormRows);
      add_rms_norm_rows(x.data(), addend.data(), weight.data(), kEps, kNormRows, width, sum.data(),
                        y.data(), rstd.data());
      rms_norm_backward_rows({y.data(), inverse.data(), rstd.data()}, weight.data(), dy.data(),
                             dsum.data(), kNormRows, width, dx.data());
      std::vector<double> exact_sum = wide(x);
      const auto wide_addend = wide(addend), wide_dsum = wide(dsum);
      for (size_t i = 0; i < exact_sum.size(); ++i) exact_sum[i] += wide_addend[i];
      const std::vector<double> stored_sum = sum.result();
      expect_near(stored_sum, exact_sum, tolerance<T>());
      ExpectedNorm expected = expected_norm(stored_sum, wide(weight), wide(dy), kEps);
      for (size_t i = 0; i < expected.dx.size(); ++i) expected.dx[i] += wide_dsum[i];
      expect_near(y.result(), expected.y, tolerance<T>());
      expect_near(dx.result(), expected.dx, 8 * tolerance<T>(), expected.largest_term);
    }
  });
}

TYPED_TEST(NormAndRope, rope_turns_pairs_half_a_head_apart) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  constexpr int64_t kRows = 2, kHeads = 3;
  on_every_target([&] {
    for (int64_t half = 0; half <= kLongest; ++half) {
      const auto x = random_values<T>(kRows * kHeads * 2 * half, 4);
      const auto angles = random_values<double>(kRows * half, 5, 4.0);
      std::vector<A> cos, sin;
      for (const double angle : angles) {
        cos.push_back(static_cast<A>(std::cos(angle)));
        sin.push_back(static_cast<A>(std::sin(angle)));
      }
      for (const bool inverse : {false, true}) {
        Guarded<T> y(std::ssize(x));
        rotate_rows(x.data(), cos.data(), sin.data(), kRows, kHeads, half, inverse, y.data());
        const auto wide_x = wide(x);
        std::vector<double> expected(x.size());
        for (int64_t head = 0; head < kRows * kHeads; ++head) {
          for (int64_t i = 0; i < half; ++i) {
            const auto place = static_cast<size_t>(head * 2 * half + i);
            const auto angle = static_cast<size_t>(head / kHeads * half + i);
            const double c = cos[angle], s = inverse ? -sin[angle] : sin[angle];
            const double first = wide_x[place], second = wide_x[place + static_cast<size_t>(half)];
            expected[place] = first * c - second * s;
            expected[place + static_cast<size_t>(half)] = second * c + first * s;
          }
        }
        expect_near(y.result(), expected, tolerance<T>());
      }
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
