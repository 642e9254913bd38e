#include "base/log.h"

#include <gtest/gtest.h>

namespace lmoe {
namespace {

TEST(Log, FillsInPlaceholders) {
  EXPECT_EQ(fill_in("{} of {}", {"1", "2"}), "1 of 2");
  EXPECT_EQ(fill_in("plain {brace", {}), "plain {brace");
  EXPECT_EQ(fill_in("{}", {"{}", "left over"}), "{} left over");
  EXPECT_EQ(fill_in("a {} b {}", {"x"}), "a x b {}");
}

TEST(Log, WritesOneLineOnStderr) {
  testing::internal::CaptureStderr();
  log().warn("{} is {}", "x", 1.5);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: x is 1.5\n");
}

}  // namespace
}  // namespace lmoe
