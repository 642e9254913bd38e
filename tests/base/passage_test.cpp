#include "base/passage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Passages, APartOfADocumentHasItsPartOfThem) {
  const Passages all = {{2, 5, 1}, {5, 6, 3}, {8, 9, 2}};
  EXPECT_EQ(passages_within(all, 0, 9), all);
  EXPECT_THAT(passages_within(all, 3, 5), ElementsAre(Passage{0, 2, 1}, Passage{2, 3, 3}));
  EXPECT_THAT(passages_within(all, 6, 2), ElementsAre());
  EXPECT_THAT(passages_within({}, 0, 9), ElementsAre());
  Passages joined = {{0, 1, 1}};
  append_passages(joined, all, 10);
  EXPECT_THAT(joined, ElementsAre(Passage{0, 1, 1}, Passage{12, 15, 1}, Passage{15, 16, 3},
                                  Passage{18, 19, 2}));
}

TEST(Passages, WhatCannotBeKeptApartIsRefused) {
  EXPECT_NO_THROW(check_passages(Passages{{2, 5, 7}, {5, 6, 1}}, "[test]"));
  const auto refused = [](const Passages& passages, const std::string& part) {
    try {
      check_passages(passages, "[test]");
      ADD_FAILURE() << "accepted: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr("[test] passage"));
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  };
  refused({{0, 3, 1}, {2, 4, 2}}, "tokens 2 to 4 for passage 2, expected to begin at 3");
  refused({{3, 4, 1}, {0, 2, 2}}, "expected to begin at 4");
  refused({{3, 3, 1}}, "must follow each other and hold tokens");
  refused({{-1, 3, 1}}, "tokens -1 to 3");
  refused({{0, 3, 0}}, "passage 0 cannot be");
  refused({{0, 3, 1}, {4, 5, 1}}, "passage 1 cannot be");
}

}  // namespace
}  // namespace lmoe
