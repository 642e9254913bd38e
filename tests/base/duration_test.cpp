#include "base/duration.h"

#include <gtest/gtest.h>

namespace lmoe {
namespace {

TEST(Duration, IsHoursMinutesSeconds) {
  EXPECT_EQ(duration_text(0.4), "00:00:00");
  EXPECT_EQ(duration_text(3599.6), "01:00:00");
  EXPECT_EQ(duration_text(100 * 3600 + 47 * 60 + 12), "100:47:12");
  EXPECT_EQ(duration_text(-5), "00:00:00");
}

}  // namespace
}  // namespace lmoe
