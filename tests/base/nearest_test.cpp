#include "base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmoe {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Nearest, FindsOrGivesUp) {
  const std::vector<std::string> known = {"learning_rate", "lora_r", "seed"};
  EXPECT_EQ(nearest_name("learing_rate", known), "learning_rate");
  EXPECT_EQ(nearest_name("zzzzzzzzzzzzz", known), "");
}

}  // namespace
}  // namespace lmoe
