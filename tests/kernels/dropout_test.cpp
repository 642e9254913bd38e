#include "kernels/dropout.h"

#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

uint32_t scramble(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bU;
  h = (h ^ (h >> 13)) * 0xc2b2ae35U;
  return h ^ (h >> 16);
}

/// Seeds of recorded runs depend on these draws.
bool is_kept(const DropoutMask& mask, int64_t row, uint32_t i) {
  const auto place = static_cast<uint64_t>(row);
  const uint32_t key = scramble(static_cast<uint32_t>(mask.seed) ^ static_cast<uint32_t>(place)) ^
                       scramble(static_cast<uint32_t>(mask.seed >> 32) +
                                static_cast<uint32_t>(place >> 32) + 0x9e3779b9U);
  return scramble(i * 0x9e3779b1U + key) >= static_cast<uint32_t>(mask.rate * 0x1.0p32);
}

template <class T>
class Dropout : public testing::Test {};
TYPED_TEST_SUITE(Dropout, StoredTypes);

TYPED_TEST(Dropout, draws_are_a_function_of_seed_and_place) {
  using T = TypeParam;
  on_every_target([&] {
    for (const double rate : {0.1, 0.75}) {
      for (const int64_t row : {int64_t{0}, int64_t{77}, int64_t{1} << 40}) {
        const DropoutMask mask{0x123456789abcdefULL, rate};
        for (int64_t count = 0; count <= kLongest; ++count) {
          const auto values = random_values<T>(count, 1);
          Guarded<T> dropped(count), in_place(values);
          dropout_row(mask, row, values.data(), count, dropped.data());
          dropout_row(mask, row, in_place.data(), count, in_place.data());
          std::vector<double> expected;
          for (size_t i = 0; i < values.size(); ++i)
            expected.push_back(is_kept(mask, row, static_cast<uint32_t>(i))
                                   ? value_of(values[i]) / (1 - rate)
                                   : 0);
          expect_near(dropped.result(), expected, tolerance<T>());
          EXPECT_EQ(in_place.result(), dropped.result());
          for (size_t i = 0; i < values.size(); ++i)
            EXPECT_EQ(dropped.result()[i] == 0, expected[i] == 0);
        }
      }
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
