#include "report/escape.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lmoe::report {
namespace {

TEST(EscapeHtml, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("a<b>&\"'é"), "a&lt;b&gt;&amp;&quot;&#39;é");
}

TEST(JsonForScript, CannotEndTheBlockOrStartAComment) {
  const Json hostile = {{"text", "</script><!-- & \u2028 é"}, {"</SCRIPT>", 1}};
  const std::string text = json_for_script(hostile);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos) << text;
  for (const char c : text) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << text;
  EXPECT_EQ(Json::parse(text), hostile);
}

TEST(JsonForScript, InvalidBytesAndNumbersBecomeValidJson) {
  const Json given = {{"text", std::string("a\xff") + "b"}, {"nan", NAN}, {"inf", INFINITY}};
  EXPECT_EQ(Json::parse(json_for_script(given)),
            (Json{{"text", "a\uFFFDb"}, {"nan", nullptr}, {"inf", nullptr}}));
}

}  // namespace
}  // namespace lmoe::report
