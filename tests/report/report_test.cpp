#include "report/report.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "report/assets.h"

namespace lmoe::report {
namespace {

/// The JSON block of a page.
Json data_of(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(RenderReport, EmptyDataGivesAWholePage) {
  const std::string page = render_report(Json::object());
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0u);
  EXPECT_NE(page.find("</html>"), std::string::npos);
  EXPECT_NE(page.find("<title>lmoe report</title>"), std::string::npos);
  EXPECT_EQ(data_of(page), Json::object());
}

TEST(RenderReport, HoldsDataLibrariesAndLicences) {
  const Json data = {{"title", "runs/a"}, {"log", {{{"step", 1}, {"loss", 2.5}}}}};
  const std::string page = render_report(data);
  EXPECT_EQ(data_of(page), data);
  for (const std::string_view asset :
       {assets().d3, assets().plot, assets().style, assets().scripts, assets().licence}) {
    ASSERT_GT(asset.size(), 500u);
    EXPECT_NE(page.find(asset), std::string::npos);
  }
}

TEST(RenderReport, UntrustedTextStaysText) {
  const std::string hostile = "</script></title><script>alert(1)</script><!-- {{plot}}";
  const Json data = {{"title", hostile},
                     {"samples", {{{"prompt", hostile}, {"tokens", {{{"text", hostile}}}}}}}};
  const std::string page = render_report(data);
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(count(page, "</script>"), count(render_report(Json::object()), "</script>"));
  EXPECT_NE(page.find("<title>&lt;/script&gt;"), std::string::npos);
  EXPECT_EQ(data_of(page), data);
  EXPECT_LT(page.size(), render_report(Json::object()).size() + 2000)
      << "a placeholder in data was filled";
}

TEST(RenderReport, RoundsWhatIsDrawnButNotTheRecipe) {
  const Json page = data_of(render_report({{"log", {{{"step", 1}, {"loss", 0.123456789}}}},
                                           {"recipe", {{"learning_rate", 0.123456789}}}}));
  EXPECT_EQ(page["log"][0]["loss"].dump(), "0.123457");
  EXPECT_EQ(Json::parse(page["recipe"].get<std::string>())["learning_rate"], 0.123456789);
}

TEST(RenderReport, NamesTheMemberOfAWrongType) {
  for (const char* name :
       {"title", "facts", "log", "router", "prompts", "scores", "ablation", "samples"}) {
    try {
      render_report({{name, 3}});
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(render_report(Json::array()), Error);
}

}  // namespace
}  // namespace lmoe::report
