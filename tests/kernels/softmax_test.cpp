#include "kernels/softmax.h"

#include <limits>
#include <numeric>

#include "kernels/cross_entropy.h"
#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double slow_log_sum_exp(const std::vector<double>& values) {
  const double largest = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

std::vector<double> slow_softmax(const std::vector<double>& values) {
  const double log_sum = slow_log_sum_exp(values);
  std::vector<double> result;
  for (const double value : values) result.push_back(std::exp(value - log_sum));
  return result;
}

template <class A>
class SoftmaxRows : public testing::Test {};
TYPED_TEST_SUITE(SoftmaxRows, ComputedTypes);

TYPED_TEST(SoftmaxRows, softmax_of_a_part_clears_the_rest) {
  using A = TypeParam;
  on_every_target([&] {
    for (int64_t count = 1; count <= kLongest; ++count) {
      for (const int64_t begin : {int64_t{0}, count / 3}) {
        const int64_t end = count - count / 5;
        const auto scores = random_values<A>(count, 1, 5.0);
        Guarded<A> p(scores), again(scores);
        const A log_sum = softmax_row(p.data(), begin, end, count);
        softmax_row_again(again.data(), begin, end, count, log_sum);
        const std::vector<double> part = wide(std::span<const A>(scores).subspan(
            static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
        std::vector<double> expected(static_cast<size_t>(count), 0.0);
        std::ranges::copy(slow_softmax(part), expected.begin() + begin);
        EXPECT_NEAR(log_sum, slow_log_sum_exp(part), 10 * tolerance<A>());
        expect_near(p.result(), expected, tolerance<A>());
        expect_near(again.result(), expected, 4 * tolerance<A>());
      }
    }
  });
}

TYPED_TEST(SoftmaxRows, scores_may_be_large_or_minus_infinity) {
  using A = TypeParam;
  on_every_target([&] {
    for (int64_t count = 2; count <= kLongest; ++count) {
      auto scores = random_values<A>(count, 2, 5.0);
      for (size_t i = 0; i < scores.size(); i += 2) scores[i] = static_cast<A>(-kInfinity);
      scores[1] = 20000;
      Guarded<A> p(scores);
      const A log_sum = softmax_row(p.data(), 0, count, count);
      EXPECT_EQ(log_sum, 20000);
      std::vector<double> expected(scores.size(), 0.0);
      expected[1] = 1.0;
      EXPECT_EQ(p.result(), expected);

      Guarded<A> hidden(std::vector<A>(scores.size(), static_cast<A>(-kInfinity)));
      EXPECT_TRUE(std::isnan(softmax_row(hidden.data(), 0, count, count)));
      for (const double value : hidden.result()) EXPECT_TRUE(std::isnan(value));

      scores[1] = std::numeric_limits<A>::quiet_NaN();
      EXPECT_TRUE(std::isnan(softmax_row(scores.data(), 0, count, count)));
    }
    Guarded<A> nothing(5);
    softmax_row(nothing.data(), 2, 2, 5);
    EXPECT_EQ(nothing.result(), std::vector<double>(5, 0.0));
  });
}

TYPED_TEST(SoftmaxRows, backward_follows_its_formula) {
  using A = TypeParam;
  on_every_target([&] {
    for (int64_t count = 0; count <= kLongest; ++count) {
      const auto p = random_values<A>(count, 3), dp = random_values<A>(count, 4);
      Guarded<A> ds(dp), capped(dp);
      softmax_backward_row(p.data(), ds.data(), count, A(0.25));
      softcap_backward_row(p.data(), capped.data(), count, A(3));
      std::vector<double> expected_ds, expected_capped;
      for (size_t i = 0; i < p.size(); ++i) {
        const double own = p[i], t = own / 3, d = dp[i];
        expected_ds.push_back(own * (d - 0.25));
        expected_capped.push_back(d * (1 - t * t));
      }
      expect_near(ds.result(), expected_ds, tolerance<A>());
      expect_near(capped.result(), expected_capped, tolerance<A>());
    }
  });
}

template <class T>
class StoredRows : public testing::Test {};
TYPED_TEST_SUITE(StoredRows, StoredTypes);

TYPED_TEST(StoredRows, softcap_and_log_sum_exp_follow_their_formulas) {
  using T = TypeParam;
  on_every_target([&] {
    for (int64_t count = 1; count <= kLongest; ++count) {
      const auto values = random_values<T>(count, 5, 20.0);
      EXPECT_NEAR(log_sum_exp_row(values.data(), count), slow_log_sum_exp(wide(values)),
                  100 * tolerance<accumulate_t<T>>());
      Guarded<T> capped(values);
      softcap_row(capped.data(), count, 30);
      std::vector<double> expected;
      for (const double value : wide(values)) expected.push_back(30 * std::tanh(value / 30));
      expect_near(capped.result(), expected, tolerance<T>());
    }
  });
}

/// Loss and gradient in double of values that are stored as T after soft-capping, as the kernel
/// stores them.
template <class T>
std::pair<double, std::vector<double>> slow_cross_entropy(const std::vector<T>& logits,
                                                          size_t label,
                                                          double cap) {
  std::vector<double> values = wide(logits);
  if (cap > 0)
    for (double& value : values) value = value_of(rounded<T>(cap * std::tanh(value / cap)));
  std::vector<double> gradient = slow_softmax(values);
  gradient[label] -= 1;
  for (size_t i = 0; i < values.size() && cap > 0; ++i)
    gradient[i] *= 1 - values[i] / cap * (values[i] / cap);
  return {slow_log_sum_exp(values) - values[label], gradient};
}

struct CrossEntropy {
  double loss = 0;
  std::vector<double> gradient;
};

/// The kernel over panels of `width` logits, and the gradient as its caller finishes it.
template <class T>
CrossEntropy in_panels(
    std::vector<T> logits, int64_t label, double cap, bool want_gradient, int64_t width) {
  RunningCrossEntropy row;
  CrossEntropy result;
  const int64_t count = std::ssize(logits);
  for (int64_t first = 0; first < count; first += width) {
    const auto begin = logits.begin() + first;
    Guarded<T> panel(std::vector<T>(begin, begin + std::min(width, count - first)));
    const double correction = cross_entropy_panel(panel.data(), std::min(width, count - first),
                                                  label - first, cap, want_gradient, row);
    for (double& value : result.gradient) value *= want_gradient ? correction : 1;
    for (const double value : panel.result()) result.gradient.push_back(value);
  }
  for (double& value : result.gradient) value /= want_gradient ? row.sum : 1;
  if (want_gradient) result.gradient[static_cast<size_t>(label)] = row.gradient_at_label(cap);
  result.loss = row.loss();
  return result;
}

TYPED_TEST(StoredRows, cross_entropy_follows_its_formula) {
  using T = TypeParam;
  on_every_target([&] {
    for (const double cap : {0.0, 15.0}) {
      for (int64_t count : {1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 67, 1000, 49152}) {
        const auto logits = random_values<T>(count, 6, 4.0);
        for (const int64_t label : {int64_t{0}, count / 2, count - 1}) {
          const auto [loss, gradient] = slow_cross_entropy(logits, static_cast<size_t>(label), cap);
          // bfloat16 results of tanh may round the other way.
          const double allowed =
              std::is_same_v<T, BFloat16> && cap > 0 ? 0.02 : 200 * tolerance<accumulate_t<T>>();
          for (const int64_t width : {count, count / 3 + 1}) {
            const CrossEntropy only_loss = in_panels(logits, label, cap, false, width);
            const CrossEntropy both = in_panels(logits, label, cap, true, width);
            EXPECT_NEAR(only_loss.loss, loss, allowed);
            EXPECT_NEAR(both.loss, loss, allowed);
            expect_near(both.gradient, gradient, 8 * tolerance<T>());
            if (cap == 0.0) {
              EXPECT_EQ(only_loss.gradient, wide(logits));
            }
          }
        }
      }
    }
  });
}

TYPED_TEST(StoredRows, cross_entropy_of_hidden_and_large_logits) {
  using T = TypeParam;
  on_every_target([&] {
    std::vector<T> logits(static_cast<size_t>(kLongest), rounded<T>(-kInfinity));
    logits[10] = logits[20] = rounded<T>(30000);
    std::vector<double> expected(logits.size(), 0.0);
    expected[10] = -0.5;
    expected[20] = 0.5;
    for (const int64_t width : {kLongest, int64_t{5}}) {
      const CrossEntropy both = in_panels(logits, 10, 0.0, true, width);
      EXPECT_NEAR(both.loss, std::log(2.0), 2e-3);
      expect_near(both.gradient, expected, 4e-3);
      auto poisoned = logits;
      poisoned[3] = rounded<T>(std::nan(""));
      EXPECT_TRUE(std::isnan(in_panels(poisoned, 10, 0.0, true, width).loss));
    }
  });
}

// Where the label is nearly certain, its gradient is as precise as its loss. Sums of panels are
// added in double.
TEST(CrossEntropy, gradient_at_a_certain_label_keeps_its_digits) {
  const std::vector<float> logits = {0, 20};
  const CrossEntropy both = in_panels(logits, 1, 0.0, true, 1);
  EXPECT_NEAR(both.gradient[1] / -std::exp(-20.0), 1.0, 1e-6);
  EXPECT_NEAR(both.gradient[0] / std::exp(-20.0), 1.0, 1e-6);
}

// Within a panel terms are added in lanes of the type they are computed in: beside the label's 1,
// float keeps what the others add up to within half of its last digit, 2^-24, and no better.
TEST(CrossEntropy, gradient_at_a_certain_label_is_rounded_with_the_sum_of_its_panel) {
  on_every_target([&] {
    for (const double gap : {5.0, 10.0, 15.0, 20.0}) {
      const double other = std::exp(-gap) / (1 + std::exp(-gap));
      const std::vector<float> logits = {0, static_cast<float>(gap)};
      const CrossEntropy both = in_panels(logits, 1, 0.0, true, 2);
      EXPECT_NEAR(both.gradient[1], -other, 0x1p-24 + 1e-6 * other);
      EXPECT_NEAR(both.gradient[0] / other, 1.0, 1e-6);
      const CrossEntropy fine = in_panels(std::vector<double>{0, gap}, 1, 0.0, true, 2);
      EXPECT_NEAR(fine.gradient[1] / -other, 1.0, 1e-6);
      EXPECT_NEAR(fine.gradient[0] / other, 1.0, 1e-6);
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
