#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lmoe {
namespace {

TEST(Rng, StateContinuesTheSequence) {
  Rng a(7);
  for (int i = 0; i < 10; ++i) a.next();
  Rng b(0);
  b.set_state(a.state());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(Rng(7, 0).next(), Rng(7, 1).next());
}

TEST(Rng, MomentsAreRight) {
  Rng rng(1);
  double sum = 0, squares = 0, uniform = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
    uniform += rng.uniform();
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.02);
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.01);
}

TEST(Rng, ShuffleIsAPermutation) {
  Rng rng(3);
  std::vector<int> items = {0, 1, 2, 3, 4, 5, 6, 7};
  rng.shuffle(std::span(items));
  int sum = 0;
  for (const int item : items) sum += 1 << item;
  EXPECT_EQ(sum, 255);
}

}  // namespace
}  // namespace lmoe
