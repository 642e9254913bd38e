#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Color { kRed, kBlue };
std::span<const EnumName<Color>> enum_names(Color) {
  static constexpr EnumName<Color> kNames[] = {{"red", Color::kRed}, {"blue", Color::kBlue}};
  return kNames;
}

struct Inner {
  int64_t k = 2, limit = 1;
  double decay = 0;
  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("k", k, "how many").range(1, 8));
    visit(field("limit", limit, "a large one").range(1, 1 << 24));
    visit(field("decay", decay, "close to one").range(0, 0.99999999));
  }
};

struct Sample {
  double learning_rate = 2e-4;
  bool packing = true;
  std::optional<int64_t> max_steps;
  std::vector<std::string> targets = {"q_proj"};
  Color color = Color::kRed;
  Inner inner;
  std::vector<Inner> list;
  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("learning_rate", learning_rate, "peak rate")
              .range(0, 1)
              .alias("lr")
              .section("optimizer"));
    visit(field("sample_packing", packing, "pack").alias("packing"));
    visit(field("max_steps", max_steps, "steps").range(1));
    visit(field("targets", targets, "where"));
    visit(field("color", color, "a color"));
    visit(field("inner", inner, "nested"));
    visit(field("list", list, "nested list"));
  }
};

Sample read(const std::string& text, ReadReport* report = nullptr) {
  Sample sample;
  ReadReport local;
  OptionReader(report != nullptr ? *report : local).read(parse_config(text, "r.yaml"), sample);
  return sample;
}

std::string message_of(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Options, ReadsEveryKindOfField) {
  const Sample s = read(
      "learning_rate: 1e-3\nsample_packing: false\nmax_steps: 5\ntargets: [a, b]\ncolor: blue\n"
      "inner: {k: 3}\nlist: [{k: 1}, {k: 8}]\n");
  EXPECT_EQ(s.learning_rate, 1e-3);
  EXPECT_FALSE(s.packing);
  EXPECT_EQ(s.max_steps, 5);
  EXPECT_THAT(s.targets, ElementsAre("a", "b"));
  EXPECT_EQ(s.color, Color::kBlue);
  EXPECT_EQ(s.inner.k, 3);
  EXPECT_EQ(s.list[1].k, 8);
}

TEST(Options, RefusesUnknownKeysWithTheNearest) {
  EXPECT_THAT(message_of("learing_rate: 1\n"),
              HasSubstr("r.yaml:1: unknown key \"learing_rate\"; nearest is "
                        "\"learning_rate\" (section optimizer)"));
  EXPECT_THAT(message_of("inner: {kk: 1}\n"),
              HasSubstr("unknown key \"inner.kk\"; nearest is \"inner.k\""));
}

TEST(Options, RefusesWrongTypesAndRanges) {
  EXPECT_THAT(message_of("learning_rate: fast\n"), HasSubstr("given \"fast\", expected a number"));
  EXPECT_THAT(message_of("learning_rate: nan\n"), HasSubstr("expected"));
  EXPECT_THAT(message_of("learning_rate: -1\n"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(message_of("inner: {k: 2.5}\n"),
              HasSubstr("inner.k: given \"2.5\", expected a whole number"));
  EXPECT_THAT(message_of("inner: {k: 9}\n"), HasSubstr("from 1 to 8"));
  EXPECT_THAT(message_of("inner: {limit: 99999999}\n"), HasSubstr("from 1 to 16777216"));
  EXPECT_THAT(message_of("inner: {decay: 1}\n"), HasSubstr("from 0 to 0.99999999"));
  EXPECT_THAT(message_of("max_steps: 0\n"), HasSubstr("from 1 to any size"));
  EXPECT_THAT(message_of("sample_packing: 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(message_of("color: green\n"), HasSubstr("one of red, blue"));
  EXPECT_THAT(message_of("targets: {a: 1}\n"), HasSubstr("expected a list"));
}

TEST(Options, AliasesAreNotedAndConflictsRefused) {
  ReadReport report;
  EXPECT_EQ(read("lr: 0.5\n", &report).learning_rate, 0.5);
  EXPECT_THAT(report.notes, ElementsAre("\"lr\" read as \"learning_rate\""));
  EXPECT_EQ(read("lr: 0.5\nlearning_rate: 0.5\n").learning_rate, 0.5);
  EXPECT_THAT(message_of("lr: 0.5\nlearning_rate: 0.4\n"),
              HasSubstr("r.yaml:1: \"lr\" and \"learning_rate\" (r.yaml:2)"));
}

TEST(Options, WriteThenReadIsTheIdentity) {
  Sample s = read("learning_rate: 0.125\nmax_steps: 3\nlist: [{k: 5}]\ncolor: blue\n");
  const Json json = write_options(s);
  Sample again;
  ReadReport report;
  OptionReader(report).read(parse_config(yaml_from_json(json), "y"), again);
  EXPECT_EQ(write_options(again), json);
}

TEST(Options, Describes) {
  const auto fields = describe_options<Sample>();
  EXPECT_EQ(fields[0].default_value, 2e-4);
  EXPECT_EQ(fields[2].type, "integer, optional");
  EXPECT_THAT(fields[4].choices, ElementsAre("red", "blue"));
  EXPECT_EQ(fields[6].fields[0].name, "k");
}

}  // namespace
}  // namespace lmoe
