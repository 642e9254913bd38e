#include "train/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lmoe::train {
namespace {

recipe::OptimizerOptions options(recipe::LrScheduler kind, int64_t warmup) {
  recipe::OptimizerOptions options;
  options.learning_rate = 2.0;
  options.lr_scheduler = kind;
  options.warmup_ratio.reset();
  options.warmup_steps = warmup;
  return options;
}

TEST(LrSchedule, WarmsUpLinearlyToThePeak) {
  const LrSchedule schedule(options(recipe::LrScheduler::kCosine, 4), 10);
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(1), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(3), 2.0);
  EXPECT_DOUBLE_EQ(schedule.at(4), 2.0);
}

TEST(LrSchedule, CosineIsHalfwayInTheMiddle) {
  const LrSchedule schedule(options(recipe::LrScheduler::kCosine, 2), 10);
  EXPECT_DOUBLE_EQ(schedule.at(6), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(4), 1.0 + std::cos(std::acos(-1.0) / 4));
  EXPECT_GT(schedule.at(9), 0.0);
  EXPECT_NEAR(schedule.at(10), 0.0, 1e-15);
}

TEST(LrSchedule, LinearAndConstant) {
  const LrSchedule linear(options(recipe::LrScheduler::kLinear, 0), 8);
  EXPECT_DOUBLE_EQ(linear.at(0), 2.0);
  EXPECT_DOUBLE_EQ(linear.at(4), 1.0);
  EXPECT_DOUBLE_EQ(linear.at(7), 0.25);
  const LrSchedule constant(options(recipe::LrScheduler::kConstant, 2), 8);
  EXPECT_DOUBLE_EQ(constant.at(0), 1.0);
  EXPECT_DOUBLE_EQ(constant.at(7), 2.0);
}

TEST(LrSchedule, RatioIsRoundedUpAndNeverExceedsTheRun) {
  recipe::OptimizerOptions ratio;
  ratio.warmup_ratio = 0.03;
  EXPECT_EQ(LrSchedule(ratio, 100).warmup_steps(), 3);
  EXPECT_EQ(LrSchedule(ratio, 10).warmup_steps(), 1);
  EXPECT_EQ(LrSchedule(options(recipe::LrScheduler::kCosine, 50), 8).warmup_steps(), 8);
}

}  // namespace
}  // namespace lmoe::train
