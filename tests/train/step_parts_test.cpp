#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_folder.h"
#include "train/loss_guard.h"
#include "train/micro_batch.h"
#include "train/router_statistics.h"
#include "train/run_log.h"

namespace lmoe::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

data::PackedRow row(std::vector<int32_t> ids, std::vector<int32_t> labels, int64_t line) {
  data::PackedRow row;
  row.ids = std::move(ids);
  row.labels = std::move(labels);
  row.segments = {{0, static_cast<int32_t>(row.ids.size()), 0, line}};
  return row;
}

TEST(MicroBatch, PositionsPredictTheNextTokenOfTheirRow) {
  std::vector<data::PackedRow> rows = {row({5, 6, 7}, {-100, 6, 7}, 1), row({8, 9}, {-100, 9}, 4)};
  rows[1].segments[0].task = 3;
  rows[1].segments[0].prompt = 1;
  rows[1].segments[0].passages = {{0, 1, 2}};
  const MicroBatch batch = make_micro_batch(rows);
  EXPECT_EQ(batch.segments[0].task, 0);
  EXPECT_EQ(batch.segments[1].task, 3);
  EXPECT_EQ(batch.segments[1].prompt, 1);
  EXPECT_THAT(batch.segments[1].passages, ElementsAre(Passage{0, 1, 2}));
  EXPECT_TRUE(at::equal(batch.ids, at::tensor({5, 6, 7, 8, 9}, at::kLong)));
  EXPECT_TRUE(at::equal(batch.labels, at::tensor({6, 7, -100, 9, -100}, at::kLong)));
  EXPECT_EQ(batch.tokens, 5);
  EXPECT_EQ(batch.labelled, 3);
  EXPECT_EQ(batch.segments[1].start, 3);
  EXPECT_EQ(batch.segments[1].length, 2);
  EXPECT_EQ(records_text(rows), "data set 0 lines 1, 4");
}

TEST(RouterStatistics, EntropyAndLoadByLayer) {
  nn::RouterLog log;
  const at::Tensor uniform = at::full({2, 4}, 0.25);
  const at::Tensor one_hot =
      at::tensor({1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 1.0F, 0.0F, 0.0F}).view({2, 4});
  log.records.push_back({"layers.0.a", 0, uniform, uniform});
  log.records.push_back({"layers.0.b", 0, one_hot, one_hot});
  log.records.push_back({"layers.1.a", 1, uniform, one_hot});
  RouterStatistics statistics;
  statistics.add(log);
  ASSERT_EQ(statistics.entropy().size(), 2u);
  EXPECT_NEAR(statistics.entropy()[0], std::log(4.0) / 2, 1e-6);
  EXPECT_NEAR(statistics.entropy()[1], std::log(4.0), 1e-6);
  EXPECT_THAT(statistics.load()[0], ElementsAre(0.375, 0.375, 0.125, 0.125));
  EXPECT_THAT(statistics.load()[1], ElementsAre(0.5, 0.5, 0.0, 0.0));
}

TEST(LossGuard, StopsAtNanAndInfinity) {
  EXPECT_NO_THROW(LossGuard::check_finite("loss", 3.0, 1, ""));
  try {
    LossGuard::check_finite("loss", std::nan(""), 12, "micro-batch 1 of 2, data set 0 lines 3");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDiverged);
    EXPECT_THAT(error.what(),
                HasSubstr("step 12: the loss is nan (micro-batch 1 of 2, data set 0"));
  }
  EXPECT_THROW(LossGuard::check_finite("loss", std::numeric_limits<double>::infinity(), 1, ""),
               Error);
}

TEST(LossGuard, WatchdogCountsStepsInARow) {
  recipe::RunOptions options;
  options.loss_watchdog_threshold = 2.0;
  options.loss_watchdog_patience = 2;
  LossGuard guard(options);
  guard.watch(3.0, 1);
  guard.watch(1.0, 2);
  guard.watch(3.0, 3);
  EXPECT_THROW(guard.watch(3.0, 4), Error);
}

StepReport report(int64_t step) {
  StepReport report;
  report.step = step;
  report.total_steps = 8;
  report.loss = 1.5;
  report.elapsed_seconds = 3723.4;
  report.gate_entropy = {1.0, 2.0};
  report.load = {{0.5, 0.5}, {0.75, 0.25}};
  return report;
}

TEST(StepReport, HasTheKeysOfOtherTools) {
  const Json json = report(2).json();
  for (const char* key :
       {"current_steps", "total_steps", "loss", "lr", "epoch", "percentage", "elapsed_time",
        "remaining_time", "throughput", "total_tokens", "labelled_tokens", "grad_norm",
        "gate_entropy", "load", "peak_memory_bytes"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_FALSE(json.contains("eval_loss"));
  EXPECT_EQ(json["percentage"], 25.0);
  EXPECT_EQ(json["elapsed_time"], "01:02:03");
  EXPECT_DOUBLE_EQ(report(2).mean_entropy().value(), 1.5);
  EXPECT_DOUBLE_EQ(report(2).load_imbalance().value(), 1.25);
  EXPECT_FALSE(StepReport{}.load_imbalance().has_value());
  EXPECT_GT(peak_memory_bytes(), 1 << 20);
  EXPECT_GT(available_memory_bytes(), 1 << 20);
}

TEST(RunLog, AResumedRunDropsLaterAndBrokenLines) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "log.jsonl";
  for (int64_t step = 1; step <= 4; ++step) append_report(path, report(step));
  append_line(path, "{\"current_st");
  begin_log(path, 2);
  append_report(path, report(3));
  std::istringstream lines(read_file(path));
  std::vector<int64_t> steps;
  for (std::string line; std::getline(lines, line);)
    steps.push_back(Json::parse(line)["current_steps"]);
  EXPECT_THAT(steps, ElementsAre(1, 2, 3));
  begin_log(path, 0);
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace lmoe::train
