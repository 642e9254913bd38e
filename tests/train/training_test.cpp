#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "io/checkpoints.h"
#include "io/manifest.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"
#include "train/validation.h"

namespace lmoe::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Variants : public ::testing::TestWithParam<const char*> {
 protected:
  recipe::Recipe recipe(const std::string& name) const {
    return variant_recipe(folder_.path() / name, GetParam());
  }
  test::TempFolder folder_;
};

TEST_P(Variants, TheLossFalls) {
  recipe::Recipe long_run = recipe("run");
  long_run.batch.max_steps = 60;
  long_run.optimizer.learning_rate = 2e-2;
  TinyRun run(long_run);
  double first = 0.0;
  TrainCallbacks callbacks;
  callbacks.on_event = [&](const TrainEvent& event) {
    if (event.kind == TrainEvent::Kind::kStep && event.report.step == 1) first = event.report.loss;
  };
  const TrainResult result = run.start(callbacks);
  EXPECT_EQ(result.steps, 60);
  EXPECT_LT(result.loss, 0.6 * first);
}

TEST_P(Variants, OneSeedGivesTheSameBits) {
  TinyRun one(recipe("one")), two(recipe("two"));
  recipe::Recipe other_seed = recipe("three");
  other_seed.batch.seed = 43;
  TinyRun three(other_seed);
  one.start();
  two.start();
  three.start();
  EXPECT_TRUE(same_bits(one.values(), two.values()));
  EXPECT_FALSE(same_bits(one.values(), three.values()));
  EXPECT_EQ(timeless_log(folder_.path() / "one"), timeless_log(folder_.path() / "two"));
}

INSTANTIATE_TEST_SUITE_P(All, Variants, all_variants(), variant_name);

TEST(Training, FrozenExpertsStayBitForBitAndOthersLearn) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.mixture.experts.frozen = {"expert1"};
  recipe.optimizer.weight_decay = 0.1;
  TinyRun run(recipe);
  const auto parts = run.mixture->frozen_parts();
  ASSERT_FALSE(parts.empty());
  {
    const c10::NoGradGuard no_grad;
    for (const mixture::PartOfParameter& part : parts) part.view.fill_(0.25);
  }
  const std::vector<at::Tensor> before = run.values();
  run.start();
  for (const mixture::PartOfParameter& part : parts)
    EXPECT_TRUE(at::equal(part.view, at::full_like(part.view, 0.25)));
  const std::vector<at::Tensor> after = run.values();
  for (size_t i = 0; i < after.size(); ++i) EXPECT_FALSE(at::equal(after[i], before[i]));
}

TEST(Training, BeginsWithWhatAnotherMixtureLearned) {
  const test::TempFolder folder;
  TinyRun first(tiny_recipe(folder.path() / "one"));
  first.start();
  TinyRun second(tiny_recipe(folder.path() / "two"));
  second.mixture->copy_from(*first.mixture);
  EXPECT_TRUE(same_bits(second.values(), first.values()));
  recipe::Recipe other = tiny_recipe(folder.path() / "three");
  other.mixture.experts.rank = 3;
  EXPECT_THROW(TinyRun(other).mixture->copy_from(*first.mixture), Error);
  other = tiny_recipe(folder.path() / "three");
  other.mixture.experts.alpha = 1;
  EXPECT_THROW(TinyRun(other).mixture->copy_from(*first.mixture), Error);
}

TEST(Training, TheSameBitsWithTwoThreadsToo) {
  const test::TempFolder folder;
  std::vector<std::vector<at::Tensor>> values;
  for (const char* name : {"one", "two"}) {
    recipe::Recipe recipe = tiny_recipe(folder.path() / name);
    recipe.batch.max_steps = 1;
    TinyRun run(recipe);
    at::set_num_threads(2);
    run.start();
    values.push_back(run.values());
  }
  EXPECT_TRUE(same_bits(values[0], values[1]));
}

TEST(Training, TheFolderIsARunThatLoads) {
  const test::TempFolder folder;
  TinyRun run(tiny_recipe(folder.path() / "run"));
  run.start();
  const fs::path path = folder.path() / "run";
  EXPECT_NO_THROW(io::check_manifest(path));
  for (const char* name : {"mixture.yaml", "base.json", "config_effective.json", "log.jsonl"})
    EXPECT_TRUE(fs::exists(path / name)) << name;
  const auto loaded = mixture::Mixture::load(path, run.decoder->projection_groups());
  std::vector<at::Tensor> values;
  for (const nn::NamedTensor& parameter : loaded->parameters())
    values.push_back(parameter.tensor.detach());
  EXPECT_TRUE(same_bits(values, run.values()));
}

TEST(Training, LogsEveryStepWithTheRouter) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.logging_steps = 3;
  TinyRun(recipe).start();
  std::vector<int64_t> steps;
  for (const std::string& line : timeless_log(folder.path() / "run")) {
    const Json json = Json::parse(line);
    steps.push_back(json["current_steps"]);
    EXPECT_EQ(json["gate_entropy"].size(), 2u);
    EXPECT_EQ(json["load"][1].size(), 3u);
    EXPECT_TRUE(json["balance"].contains("cv2"));
    EXPECT_EQ(json.contains("balance_if_uniform"), json["current_steps"] == 1);
    EXPECT_GT(json["grad_norm"], 0.0);
  }
  EXPECT_THAT(steps, ElementsAre(1, 3, 6, 8));
}

TEST(Training, ValidatesAndKeepsTheNewestCheckpoints) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.eval_steps = 4;
  recipe.run.save_steps = 2;
  TinyRun run(recipe);
  const std::vector<data::EncodedDataset> held_out = {counting_dataset(8, 99)};
  const auto rows = data::pack_in_order(held_out, {.sequence_len = 24});
  std::vector<int64_t> saved, validated;
  TrainCallbacks callbacks;
  callbacks.validate = [&] { return validation_loss(*run.decoder, rows, 50); };
  callbacks.on_event = [&](const TrainEvent& event) {
    if (event.kind == TrainEvent::Kind::kSaved) saved.push_back(event.report.step);
    if (event.kind == TrainEvent::Kind::kValidated) validated.push_back(event.report.step);
  };
  const TrainResult result = run.start(callbacks);
  EXPECT_THAT(saved, ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(validated, ElementsAre(4, 8));
  EXPECT_NEAR(*result.eval_loss, validation_loss(*run.decoder, rows, 1 << 20), 1e-5);
  const auto left = io::list_checkpoints(folder.path() / "run" / "checkpoints");
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(left[0].filename(), "step-000008");
  EXPECT_EQ(left[1].filename(), "step-000006");
}

TEST(Training, AnInterruptReachesTheValidation) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.eval_steps = 4;
  TinyRun run(recipe);
  bool interrupted = false;
  TrainCallbacks callbacks;
  callbacks.should_stop = [&] { return interrupted; };
  callbacks.validate = [&]() -> double {
    interrupted = true;
    fail(ErrorCode::kInterrupted, "[validation] interrupted");
  };
  const TrainResult result = run.start(callbacks);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.steps, 4);
  EXPECT_FALSE(result.eval_loss);
  EXPECT_EQ(result.last_checkpoint.filename(), "step-000004");
}

TEST(Training, EvalStepsNeedHeldOutData) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.eval_steps = 4;
  EXPECT_THAT(TinyRun(recipe).error_of_start().what(), HasSubstr("eval_steps cannot act"));
}

TEST(Training, NanStopsBeforeTheUpdateAndKeepsTheCheckpoint) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.save_steps = 2;
  TinyRun run(recipe);
  TrainCallbacks callbacks;
  callbacks.on_event = [&](const TrainEvent& event) {
    if (event.kind != TrainEvent::Kind::kSaved || event.report.step != 4) return;
    at::Tensor(run.mixture->parameters().front().tensor)
        .detach()
        .fill_(std::numeric_limits<float>::quiet_NaN());
  };
  const Error error = run.error_of_start(callbacks);
  EXPECT_EQ(error.code(), ErrorCode::kDiverged);
  EXPECT_THAT(error.what(), HasSubstr("step 5: the loss is"));
  EXPECT_THAT(error.what(), HasSubstr("; the last checkpoint is " + folder.path().string()));
  EXPECT_THAT(error.what(), HasSubstr("micro-batch 1 of 2, data set 0 lines"));
  EXPECT_THAT(error.what(), HasSubstr("the gate of layers.0.self_attn.o_proj is not finite"));
  EXPECT_THAT(error.what(), HasSubstr("step-000004"));
  EXPECT_NO_THROW(io::check_manifest(folder.path() / "run" / "checkpoints" / "step-000004"));
}

TEST(Training, TheWatchdogStopsARunThatStaysHigh) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run");
  recipe.run.loss_watchdog_threshold = 0.01;
  const Error error = TinyRun(recipe).error_of_start();
  EXPECT_EQ(error.code(), ErrorCode::kDiverged);
  EXPECT_THAT(error.what(), HasSubstr("step 3: the loss was above"));
  EXPECT_THAT(error.what(), HasSubstr("no checkpoint was saved yet"));
}

}  // namespace
}  // namespace lmoe::train
