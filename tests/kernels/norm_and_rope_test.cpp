#include "kernels/every_target.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"

namespace lmoe::kernels::test {
namespace {

template <class T>
class NormAndRope : public testing::Test {};
TYPED_TEST_SUITE(NormAndRope, StoredTypes);

TYPED_TEST(NormAndRope, rms_norm_follows_its_formula) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  constexpr int64_t kRows = 3;
  constexpr double kEps = 1e-5;
  on_every_target([&] {
    for (int64_t width = 1; width <= kLongest; ++width) {
      const auto x = random_values<T>(kRows * width, 1, 3.0),
                 dy = random_values<T>(kRows * width, 2);
      const auto weight = random_values<A>(width, 3);
      Guarded<T> y(kRows * width), dx(kRows * width);
      Guarded<A> rstd(kRows);
      rms_norm_rows(x.data(), weight.data(), kEps, kRows, width, y.data(), rstd.data());
      rms_norm_backward_rows(x.data(), weight.data(), rstd.data(), dy.data(), kRows, width,
                             dx.data());
      const auto wide_x = wide(x), wide_dy = wide(dy), wide_weight = wide(weight);
      std::vector<double> expected_y, expected_rstd, expected_dx;
      double largest_term = 0;
      for (int64_t row = 0; row < kRows; ++row) {
        const double *px = wide_x.data() + row * width, *pdy = wide_dy.data() + row * width;
        double squares = 0, dot = 0;
        for (int64_t i = 0; i < width; ++i) {
          squares += px[i] * px[i];
          dot += pdy[i] * wide_weight[static_cast<size_t>(i)] * px[i];
        }
        const double n = static_cast<double>(width), scale = 1 / std::sqrt(squares / n + kEps);
        expected_rstd.push_back(scale);
        for (int64_t i = 0; i < width; ++i) {
          const double w = wide_weight[static_cast<size_t>(i)];
          expected_y.push_back(px[i] * scale * w);
          largest_term = std::max(largest_term, std::abs(scale * pdy[i] * w));
          expected_dx.push_back(scale * pdy[i] * w - px[i] * scale * scale * scale * dot / n);
        }
      }
      expect_near(y.result(), expected_y, tolerance<T>());
      expect_near(rstd.result(), expected_rstd, tolerance<A>());
      expect_near(dx.result(), expected_dx, 4 * tolerance<T>(), largest_term);
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
