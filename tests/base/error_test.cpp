#include "base/error.h"

#include <gtest/gtest.h>

namespace lmoe {
namespace {

TEST(Error, TheOperationIsLeftOutOfAMessageInsideAnother) {
  EXPECT_EQ(without_operation("[chat_template] line 1: no"), "line 1: no");
  EXPECT_EQ(without_operation("[json.exception.type_error.302] type must be"), "type must be");
  EXPECT_EQ(without_operation("plain [1, 2] text"), "plain [1, 2] text");
  EXPECT_EQ(without_operation("[open"), "[open");
  EXPECT_EQ(without_operation(""), "");
}

}  // namespace
}  // namespace lmoe
