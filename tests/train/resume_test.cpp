#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/target.h"
#include "mixture/expert_bank.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

/// Stops at the n-th question; there is one before each micro-batch.
TrainCallbacks stop_at_question(int64_t n) {
  TrainCallbacks callbacks;
  callbacks.should_stop = [n, asked = int64_t{0}]() mutable { return ++asked == n; };
  return callbacks;
}

class ResumeTest : public ::testing::TestWithParam<const char*> {
 protected:
  recipe::Recipe recipe(const std::string& name) const {
    return variant_recipe(folder_.path() / name, variant_);
  }
  recipe::Recipe resuming(const std::string& name) const {
    recipe::Recipe resumed = recipe(name);
    resumed.run.auto_resume_from_checkpoints = true;
    return resumed;
  }
  std::string last_optimizer(const std::string& name) const {
    return read_file(folder_.path() / name / "checkpoints" / "step-000008" /
                     "optimizer.safetensors");
  }
  test::TempFolder folder_;
  std::string variant_ = "l-moe";
};

class ResumeVariants : public ResumeTest {
 protected:
  ResumeVariants() { variant_ = GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(All, ResumeVariants, all_variants(), variant_name);
INSTANTIATE_TEST_SUITE_P(Optimizers,
                         ResumeVariants,
                         ::testing::Values("sgd", "sgd-momentum"),
                         variant_name);

/// As finished experts would be, which a new mixture does not begin with.
void shift_experts(const TinyRun& run) {
  for (const mixture::ExpertBank* bank : run.mixture->expert_banks())
    for (const nn::NamedTensor& parameter : bank->parameters())
      at::Tensor(parameter.tensor).detach().add_(0.25);
}

TEST_F(ResumeTest, FinishedExpertsComeFromTheCheckpoint) {
  recipe::Recipe frozen = recipe("whole");
  frozen.mixture.schedule.freeze_experts = true;
  TinyRun whole(frozen);
  shift_experts(whole);
  whole.start();
  frozen.run.output_dir = (folder_.path() / "halves").string();
  {
    TinyRun first(frozen);
    shift_experts(first);
    EXPECT_TRUE(first.start(stop_at_question(9)).interrupted);
  }
  frozen.run.auto_resume_from_checkpoints = true;
  TinyRun second(frozen);
  EXPECT_FALSE(second.start().interrupted);
  EXPECT_TRUE(same_bits(second.values(), whole.values()));
}

TEST_P(ResumeVariants, HalfAndHalfEqualsTheWholeBitForBit) {
  TinyRun whole(recipe("whole"));
  whole.start();
  // Questions 9 and 10 are asked within step 5: at its beginning, and in the middle of its
  // accumulation.
  for (const int64_t question : {1, 9, 10}) {
    const std::string name = concat("halves", question);
    {
      TinyRun first(recipe(name));
      const TrainResult result = first.start(stop_at_question(question));
      EXPECT_TRUE(result.interrupted);
      EXPECT_EQ(result.steps, (question - 1) / 2);
    }
    TinyRun second(resuming(name));
    const TrainResult result = second.start();
    EXPECT_EQ(result.steps, 8);
    EXPECT_FALSE(result.interrupted);
    EXPECT_TRUE(same_bits(second.values(), whole.values()));
    EXPECT_EQ(last_optimizer(name), last_optimizer("whole"));
    EXPECT_EQ(timeless_log(folder_.path() / name), timeless_log(folder_.path() / "whole"));
  }
}

TEST_F(ResumeTest, AStepThatWasSavedAndThenLostIsRepeatedExactly) {
  TinyRun whole(recipe("whole"));
  whole.start();
  recipe::Recipe saving = recipe("lost");
  saving.run.save_steps = 3;
  {
    TinyRun first(saving);
    first.start();
  }
  const fs::path checkpoints = folder_.path() / "lost" / "checkpoints";
  fs::remove_all(checkpoints / "step-000008");
  saving.run.auto_resume_from_checkpoints = true;
  TinyRun second(saving);
  EXPECT_EQ(second.start().steps, 8);
  EXPECT_TRUE(same_bits(second.values(), whole.values()));
  EXPECT_EQ(timeless_log(folder_.path() / "lost"), timeless_log(folder_.path() / "whole"));
}

TEST_F(ResumeTest, AFinishedRunHasNothingLeftToDo) {
  {
    TinyRun first(recipe("run"));
    first.start();
  }
  TinyRun again(resuming("run"));
  EXPECT_EQ(again.start().steps, 8);
}

TEST_F(ResumeTest, InterruptedRunsCanBeUsed) {
  TinyRun run(recipe("run"));
  run.start(stop_at_question(6));
  const auto loaded =
      mixture::Mixture::load(folder_.path() / "run", run.decoder->projection_groups());
  EXPECT_EQ(loaded->trained_parameter_count(), run.mixture->trained_parameter_count());
}

TEST_F(ResumeTest, AnotherRunIsRefusedByName) {
  {
    TinyRun first(recipe("run"));
    first.start(stop_at_question(5));
  }
  recipe::Recipe changed = resuming("run");
  changed.optimizer.learning_rate = 0.5;
  EXPECT_THAT(TinyRun(changed).error_of_start().what(),
              HasSubstr("recipe differs: learning_rate: checkpoint 0.005, given 0.5"));
  changed = resuming("run");
  changed.mixture.experts.rank = 3;
  EXPECT_THAT(TinyRun(changed).error_of_start().what(), HasSubstr("mixture.experts.rank"));
  changed = resuming("run");
  changed.batch.max_steps = 9;
  EXPECT_THAT(TinyRun(changed).error_of_start().what(), HasSubstr("number of steps differs"));
  TinyRun other_base(resuming("run"));
  other_base.base.hash.tokenizer = std::string(64, 'b');
  EXPECT_THAT(other_base.error_of_start().what(),
              HasSubstr("base model differs: the SHA-256 of the tokenizer of tiny"));
  TinyRun other_data(resuming("run"), {counting_dataset(60, 4)});
  EXPECT_EQ(other_data.error_of_start().code(), ErrorCode::kInvalidArgument);
}

TEST_F(ResumeTest, TheInstructionSetIsThatOfTheCheckpoint) {
  const std::vector<std::string> targets = kernels::runnable_targets();
  kernels::choose_target(targets.back());
  {
    TinyRun first(recipe("run"));
    first.start(stop_at_question(5));
  }
  kernels::choose_target(targets.front());
  const fs::path checkpoints = folder_.path() / "run" / "checkpoints";
  EXPECT_EQ(read_trainer_state(checkpoints / "step-000002").kernels, targets.back());
  TinyRun second(resuming("run"));
  testing::internal::CaptureStderr();
  second.start();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find("LMOE_KERNELS=" + targets.back()) != said.npos,
            targets.back() != targets.front());
  EXPECT_EQ(read_trainer_state(checkpoints / "step-000008").kernels, targets.front());
}

TEST_F(ResumeTest, DamagedTensorsAreRefusedAndNothingChanges) {
  {
    TinyRun first(recipe("run"));
    first.start(stop_at_question(5));
  }
  const fs::path checkpoint = folder_.path() / "run" / "checkpoints" / "step-000002";
  TinyRun run(resuming("run"));
  const std::vector<at::Tensor> before = run.values();
  const auto optimizer = make_optimizer(run.mixture->parameters(), run.recipe.optimizer);
  fs::remove(checkpoint / "optimizer.safetensors");
  EXPECT_THROW(
      restore_tensors(checkpoint, run.decoder->projection_groups(), *run.mixture, *optimizer),
      Error);
  EXPECT_TRUE(same_bits(run.values(), before));
}

}  // namespace
}  // namespace lmoe::train
