#include "text/utf8.h"

#include <gtest/gtest.h>

namespace lmoe::text {
namespace {

// Expected strings: Python's bytes.decode("utf-8", "replace").
TEST(Utf8, ReplacesEveryMaximalSubpartOnce) {
  EXPECT_EQ(replace_invalid_utf8("a\xC3z"), "a\uFFFDz");
  EXPECT_EQ(replace_invalid_utf8("\xE2\x82"), "\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xE0\x80\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98z"), "\uFFFDz");
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xFF"), "\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8, EveryCodePointSurvives) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    append_utf8(bytes, c);
    const Utf8Step step = utf8_step(bytes);
    ASSERT_TRUE(step.valid && step.code_point == c &&
                static_cast<size_t>(step.length) == bytes.size())
        << +c;
  }
}

TEST(Utf8, CompletePrefixStopsBeforeAnUnfinishedCharacter) {
  EXPECT_EQ(complete_utf8_prefix(""), 0U);
  EXPECT_EQ(complete_utf8_prefix("abc"), 3U);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98"), 1U);
  EXPECT_EQ(complete_utf8_prefix("a\xF0\x9F\x98\x80"), 5U);
  EXPECT_EQ(complete_utf8_prefix("a\xE2"), 1U);
  EXPECT_EQ(complete_utf8_prefix("a\xFF"), 2U);
  EXPECT_EQ(complete_utf8_prefix("\x80\x80\x80\x80"), 4U);
}

}  // namespace
}  // namespace lmoe::text
