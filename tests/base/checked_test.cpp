#include "base/checked.h"

#include <gtest/gtest.h>

namespace lmoe {
namespace {

TEST(Checked, OverflowIsAnError) {
  EXPECT_EQ(checked_add(2, 3, "x"), 5u);
  EXPECT_THROW(checked_add(~0ULL, 1, "x"), Error);
  EXPECT_EQ(checked_mul(1ULL << 31, 1ULL << 31, "x"), 1ULL << 62);
  EXPECT_THROW(checked_mul(1ULL << 32, 1ULL << 32, "x"), Error);
}

TEST(Checked, CastKeepsTheValue) {
  EXPECT_EQ(checked_cast<int32_t>(int64_t{-5}, "x"), -5);
  EXPECT_THROW(checked_cast<int32_t>(int64_t{1} << 40, "x"), Error);
  EXPECT_THROW(checked_cast<uint64_t>(int64_t{-1}, "x"), Error);
  EXPECT_THROW(checked_cast<int64_t>(~uint64_t{0}, "x"), Error);
}

}  // namespace
}  // namespace lmoe
