#include "generate/stop_matcher.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"

namespace lmoe::generate {
namespace {

struct Outcome {
  std::string text;
  std::optional<std::string> found;
  bool operator==(const Outcome&) const = default;
};

Outcome feed(std::vector<std::string> stop, const std::vector<std::string>& pieces) {
  StopMatcher matcher(std::move(stop));
  std::string text;
  for (const std::string& piece : pieces) text += matcher.add(piece);
  text += matcher.finish();
  return {text, matcher.found()};
}

TEST(StopMatcher, FindsAcrossPieces) {
  EXPECT_EQ(feed({"</s>"}, {"one <", "/", "s", "> two"}), (Outcome{"one ", "</s>"}));
}

TEST(StopMatcher, NeverShowsTheBeginningOfAStopText) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.add("aE"), "a");
  EXPECT_EQ(matcher.add("N"), "");
  EXPECT_EQ(matcher.add("ND"), "ENND");
  EXPECT_EQ(matcher.add("EN"), "");
  EXPECT_EQ(matcher.finish(), "EN");
}

TEST(StopMatcher, KeepsOverlappingBeginnings) {
  EXPECT_EQ(feed({"aab"}, {"a", "a", "a", "b", "x"}), (Outcome{"a", "aab"}));
}

TEST(StopMatcher, FirstEndWinsThenTheLongest) {
  EXPECT_EQ(feed({"abcd", "c"}, {"xabcd"}), (Outcome{"xab", "c"}));
  EXPECT_EQ(feed({"c", "bc"}, {"abc"}), (Outcome{"a", "bc"}));
}

TEST(StopMatcher, WithoutStopTextsEverythingPasses) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.add("abc"), "abc");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, NothingFollowsAStopText) {
  StopMatcher matcher({"."});
  EXPECT_EQ(matcher.add("a.b"), "a");
  EXPECT_EQ(matcher.add("c"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, CutsDoNotMatter) {
  Rng rng(3);
  const std::vector<std::string> stop = {"abab", "bba", "aabb"};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += rng.below(2) == 0 ? 'a' : 'b';
    std::vector<std::string> pieces(1);
    std::vector<std::string> letters;
    for (const char letter : text) {
      if (rng.below(3) == 0) pieces.emplace_back();
      pieces.back() += letter;
      letters.emplace_back(1, letter);
    }
    EXPECT_EQ(feed(stop, pieces), feed(stop, {text})) << text;
    EXPECT_EQ(feed(stop, letters), feed(stop, {text})) << text;
  }
}

TEST(StopMatcher, EmptyStopTextIsRefused) { EXPECT_THROW(StopMatcher({""}), Error); }

}  // namespace
}  // namespace lmoe::generate
