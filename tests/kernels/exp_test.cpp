// The exponential that all kernels share, seen through softmax with a log-sum-exp of 0.
#include <limits>

#include "kernels/every_target.h"
#include "kernels/softmax.h"

namespace lmoe::kernels::test {
namespace {

template <class A>
std::vector<A> exponentials(std::vector<A> x) {
  softmax_row_again(x.data(), 0, std::ssize(x), std::ssize(x), A(0));
  return x;
}

template <class A>
class Exp : public testing::Test {};
TYPED_TEST_SUITE(Exp, ComputedTypes);

TYPED_TEST(Exp, is_right_over_its_whole_range) {
  using A = TypeParam;
  const double lowest = std::is_same_v<A, float> ? -87.29 : -707.9;
  const double highest = std::is_same_v<A, float> ? 87.99 : 708.9;
  std::vector<A> x;
  for (int i = 0; i <= 20000; ++i)
    x.push_back(static_cast<A>(lowest + (highest - lowest) * i / 20000));
  for (int i = -100; i <= 100; ++i) x.push_back(static_cast<A>(i * 1e-3));
  on_every_target([&] {
    const std::vector<A> got = exponentials(x);
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(got[i] / expected, 1.0, 2 * std::numeric_limits<A>::epsilon()) << "x " << x[i];
    }
  });
}

TYPED_TEST(Exp, saturates_and_keeps_nan) {
  using A = TypeParam;
  constexpr A kInfinity = std::numeric_limits<A>::infinity();
  constexpr A kNan = std::numeric_limits<A>::quiet_NaN();
  const std::vector<A> x = {-kInfinity,
                            A(-1e4),
                            A(0),
                            A(1e4),
                            kInfinity,
                            kNan,
                            std::numeric_limits<A>::max(),
                            std::numeric_limits<A>::lowest()};
  on_every_target([&] {
    const std::vector<A> got = exponentials(x);
    EXPECT_EQ(got[0], 0);
    EXPECT_EQ(got[1], 0);
    EXPECT_EQ(got[2], 1);
    for (const size_t large : {3, 4, 6}) {
      EXPECT_GT(got[large], A(1e38)) << large;
      EXPECT_TRUE(std::isfinite(got[large])) << large;
    }
    EXPECT_TRUE(std::isnan(got[5]));
    EXPECT_EQ(got[7], 0);
    // A NaN with all bits set, as uninitialised memory may hold.
    std::vector<A> bits(5);
    std::fill_n(reinterpret_cast<uint8_t*>(bits.data()), bits.size() * sizeof(A), 0xFF);
    for (const A value : exponentials(bits)) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
