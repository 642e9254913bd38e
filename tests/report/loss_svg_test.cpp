#include "report/loss_svg.h"

#include <gtest/gtest.h>

#include <string>

namespace lmoe::report {
namespace {

bool contains(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

TEST(LossSvg, CurvesRunFromCornerToCorner) {
  const Json log =
      Json::parse(R"([{"step":0,"loss":4},{"step":10,"loss":2},{"step":10,"eval_loss":3}])");
  const std::string svg = loss_svg(log);
  // The plot area is 64..700 by 40..316 of 720 by 360.
  EXPECT_TRUE(contains(svg, "d=\"M64.0 40.0L700.0 316.0\"")) << svg;
  EXPECT_TRUE(contains(svg, "<circle cx=\"700.0\" cy=\"178.0\"")) << svg;
  EXPECT_TRUE(contains(svg, "training loss"));
  EXPECT_TRUE(contains(svg, "validation loss"));
}

TEST(LossSvg, NothingOrOnePointIsStillAPicture) {
  for (const char* text :
       {"[]", R"([{"step":1,"loss":2}])", R"([{"step":1,"loss":null}])", R"([3])"}) {
    const std::string svg = loss_svg(Json::parse(text));
    EXPECT_TRUE(contains(svg, "</svg>"));
    EXPECT_FALSE(contains(svg, "nan")) << svg;
    EXPECT_FALSE(contains(svg, "inf")) << svg;
  }
}

}  // namespace
}  // namespace lmoe::report
