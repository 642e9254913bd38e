#include "base/config_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmoe {
namespace {

using ::testing::HasSubstr;

std::string message_of(const std::string& text) {
  try {
    parse_config(text, "r.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(ConfigNode, KeepsLinesOfKeysAndValues) {
  const ConfigNode root = parse_config("a: 1\nb:\n  - x\n  - y: 2\n", "r.yaml");
  EXPECT_EQ(root.find("a")->where.text(), "r.yaml:1");
  EXPECT_EQ(root.find("b")->items[1].find("y")->key_where.line, 4);
}

TEST(ConfigNode, JsonIsAccepted) {
  const ConfigNode root = parse_config(R"({"a": {"b": [1, "2"]}})", "r.json");
  const ConfigNode& list = *root.find("a")->find("b");
  EXPECT_FALSE(list.items[0].quoted);
  EXPECT_TRUE(list.items[1].quoted);
}

TEST(ConfigNode, RefusesWhatExpands) {
  EXPECT_THAT(message_of("a: &x 1\nb: *x\n"), HasSubstr("r.yaml:1: anchors"));
  EXPECT_THAT(message_of("a: !!python/object 1\n"), HasSubstr("tags are not allowed"));
  EXPECT_THAT(message_of("a: 1\nb: 2\na: 3\n"),
              HasSubstr("r.yaml:3: key \"a\" is given twice, first in line 1"));
  EXPECT_THAT(message_of("a: 1\n---\nb: 1\n"), HasSubstr("more than one document"));
  EXPECT_THAT(message_of("a: [1\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(message_of(std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper"));
}

TEST(ConfigNode, OverridesReachIntoMapsAndLists) {
  ConfigNode root = parse_config("mixture:\n  losses:\n    - coef: 0.1\n", "r.yaml");
  set_override(root, "mixture.losses.0.coef=0.001");
  set_override(root, "num-epochs=3");
  EXPECT_EQ(root.find("mixture")->find("losses")->items[0].find("coef")->scalar, "0.001");
  EXPECT_EQ(root.find("num_epochs")->scalar, "3");
  EXPECT_THROW(set_override(root, "mixture.losses.7.coef=1"), Error);
  EXPECT_THROW(set_override(root, "nothing"), Error);
}

TEST(ConfigNode, AnOverrideGivenTwiceIsRefused) {
  ConfigNode root = parse_config("seed: 1\n", "r.yaml");
  set_override(root, "seed=2");
  set_override(root, "optimizer={lr: 1}");
  set_override(root, "optimizer.lr=2");
  set_override(root, "optimizer.eps=3");
  for (const char* again : {"seed=3", "seed=2", "optimizer.lr=4", "optimizer={}"}) {
    try {
      set_override(root, again);
      ADD_FAILURE() << again;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("is given twice"), std::string::npos);
    }
  }
}

TEST(ConfigNode, YamlRoundTrip) {
  const Json json = Json::parse(
      R"({"a":"true","b":true,"c":1e-4,"d":["x","1","~"],"e":{"f":null,"g":"a: b # c"},"h":""})");
  const std::string yaml = yaml_from_json(json);
  const ConfigNode root = parse_config(yaml, "x");
  EXPECT_TRUE(root.find("a")->quoted) << yaml;
  EXPECT_EQ(root.find("e")->find("g")->scalar, "a: b # c");
  EXPECT_TRUE(root.find("h")->is_scalar());
  EXPECT_TRUE(root.find("e")->find("f")->is_null());
  EXPECT_TRUE(root.find("d")->items[1].quoted);
}

}  // namespace
}  // namespace lmoe
