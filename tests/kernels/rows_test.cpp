#include "kernels/rows.h"

#include <limits>

#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

template <class T>
class Rows : public testing::Test {};
TYPED_TEST_SUITE(Rows, StoredTypes);

TYPED_TEST(Rows, load_and_store_change_the_type_alone) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  on_every_target([&] {
    for (int64_t count = 0; count <= kLongest; ++count) {
      const auto values = random_values<T>(count, 1);
      Guarded<A> loaded(count);
      load_row(values.data(), count, loaded.data());
      EXPECT_EQ(loaded.result(), wide(values));
      const auto precise = random_values<A>(count, 2);
      Guarded<T> stored(count);
      store_row(precise.data(), count, stored.data());
      std::vector<double> expected;
      for (const A value : precise) expected.push_back(value_of(rounded<T>(value)));
      EXPECT_EQ(stored.result(), expected);
    }
  });
}

TEST(BFloat16Rows, round_to_nearest_even_and_keep_what_is_no_number) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<uint32_t, uint16_t>> cases = {
      {0x3F800000, 0x3F80},
      {0x3F808000, 0x3F80},  // ties: to even below,
      {0x3F818000, 0x3F82},
      {0x3F808001, 0x3F81},  // to even above, and just beyond the tie
      {0xBF818000, 0xBF82},
      {0x00000000, 0x0000},
      {0x80000000, 0x8000},
      {0x7F7FFFFF, 0x7F80},
      {std::bit_cast<uint32_t>(infinity), 0x7F80},
      {std::bit_cast<uint32_t>(-infinity), 0xFF80},
      {0x7F800001, 0x7FC0},
      {0xFFFFFFFF, 0x7FC0},
      {0x00008001, 0x0001}};
  on_every_target([&] {
    for (const size_t count : {cases.size(), size_t{1}}) {  // in vectors, and each alone
      for (size_t first = 0; first < cases.size(); first += count) {
        std::vector<float> values;
        for (size_t i = first; i < first + count; ++i)
          values.push_back(std::bit_cast<float>(cases[i].first));
        std::vector<BFloat16> stored(count);
        store_row(values.data(), std::ssize(values), stored.data());
        for (size_t i = 0; i < count; ++i)
          EXPECT_EQ(stored[i].bits, cases[first + i].second) << std::hex << cases[first + i].first;
      }
    }
  });
}

TYPED_TEST(Rows, are_scaled_added_and_weighed) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  const A factor = A(0.75);
  on_every_target([&] {
    for (int64_t count = 0; count <= 5 * kLongest; count += count < kLongest ? 1 : 37) {
      const auto to = random_values<T>(count, 1);
      const auto from = random_values<A>(count, 2), gradient = random_values<A>(count, 3);
      Guarded<T> first(to), added(to);
      add_row(true, factor, from.data(), count, first.data());
      add_row(false, factor, from.data(), count, added.data());
      Guarded<A> weighed(gradient);
      const A dot = weigh_row(factor, to.data(), from.data(), count, weighed.data());
      std::vector<double> expected_first, expected_added, expected_weighed;
      double expected_dot = 0, expected_own = 0;
      for (size_t i = 0; i < to.size(); ++i) {
        const double own = value_of(to[i]), other = from[i];
        expected_first.push_back(factor * other);
        expected_added.push_back(own + factor * other);
        expected_weighed.push_back(gradient[i] + factor * own);
        expected_dot += own * other;
        expected_own += static_cast<double>(gradient[i]) * other;
      }
      expect_near(first.result(), expected_first, tolerance<T>());
      expect_near(added.result(), expected_added, tolerance<T>());
      expect_near(weighed.result(), expected_weighed, tolerance<A>());
      EXPECT_NEAR(dot, expected_dot, 20 * tolerance<A>());
      EXPECT_NEAR(dot_row(gradient.data(), from.data(), count), expected_own, 20 * tolerance<A>());
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
