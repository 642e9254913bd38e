// Reward models in the loop: what a step's loss is, how it learns, saves and goes on.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/document_rewards.h"
#include "train/gradient_step.h"
#include "train/gradients.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

/// "lora": one head over one adapter. "dmoerm": two categories of two experts, two passes.
recipe::Recipe preference_recipe(const fs::path& output_dir, const std::string& method) {
  recipe::Recipe recipe = tiny_recipe(output_dir, method);
  recipe.objective.kind = recipe::Objective::kPreference;
  recipe.data.sequence_len = 48;
  if (method != "dmoerm") return recipe;
  recipe.mixture.experts.count = 4;
  recipe.mixture.experts.alpha = 4;
  recipe.objective.reward_passes = 2;
  return recipe;
}

std::vector<data::EncodedDataset> two_tasks() {
  return {preference_dataset(40, 0, 4), preference_dataset(40, 1, 5)};
}

/// Away from B = 0 and from heads that are all alike.
void randomise(const TinyRun& run) {
  at::manual_seed(5);
  for (const nn::NamedTensor& one : trained_parameters(*run.mixture, run.reward_head.get()))
    one.tensor.detach().normal_(0.0, 0.2);
}

std::vector<at::Tensor> gradients(const TinyRun& run,
                                  const std::vector<data::PackedRow>& rows,
                                  int64_t micro_batch_size,
                                  GradientResult& result) {
  const auto parameters = trained_parameters(*run.mixture, run.reward_head.get());
  clear_gradients(parameters);
  result = gather_gradients({.decoder = *run.decoder,
                             .mixture = *run.mixture,
                             .rows = rows,
                             .micro_batch_size = micro_batch_size,
                             .reward_head = run.reward_head.get()});
  std::vector<at::Tensor> copies;
  for (const nn::NamedTensor& parameter : parameters)
    copies.push_back(parameter.tensor.grad().clone());
  return copies;
}

class PreferenceTest : public ::testing::TestWithParam<const char*> {
 protected:
  recipe::Recipe recipe(const std::string& name) const {
    return preference_recipe(folder_.path() / name, GetParam());
  }
  test::TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All,
                         PreferenceTest,
                         ::testing::Values("lora", "l-moe", "dmoerm"),
                         variant_name);

/// Rows hold unequal numbers of pairs, so a mean over micro-batches would be another loss.
TEST_P(PreferenceTest, ManyMicroBatchesEqualOneLargeBatch) {
  recipe::Recipe unnoisy = recipe("unused");
  unnoisy.mixture.experts.dropout = 0.0;
  unnoisy.mixture.losses.clear();
  TinyRun run(unnoisy, two_tasks());
  randomise(run);
  std::vector<data::PackedRow> rows;
  int64_t pairs = 0;
  for (int i = 0; i < 5; ++i) rows.push_back(run.rows->next());
  rows[1].segments.resize(2);
  rows[1].ids.resize(static_cast<size_t>(rows[1].segments[1].start) +
                     static_cast<size_t>(rows[1].segments[1].length));
  rows[1].labels.resize(rows[1].ids.size());
  for (const data::PackedRow& row : rows) pairs += row.pairs();
  GradientResult whole_result, result;
  const std::vector<at::Tensor> whole = gradients(run, rows, 5, whole_result);
  EXPECT_EQ(whole_result.labelled_tokens, 2 * pairs);

  // The loss from rewards one by one.
  const c10::NoGradGuard no_grad;
  double expected = 0.0;
  for (const data::PackedRow& row : rows) {
    std::vector<double> rewards;
    for (const data::Segment& segment : row.segments) {
      nn::ForwardContext context;
      context.segments = {{.start = 0, .length = segment.length, .task = segment.task}};
      const std::vector<int64_t> ids(row.ids.begin() + segment.start,
                                     row.ids.begin() + segment.start + segment.length);
      rewards.push_back(models::document_rewards(*run.decoder, *run.reward_head,
                                                 at::tensor(ids, at::kLong), context, 0)
                            .item<double>());
    }
    for (size_t i = 0; i < rewards.size(); i += 2)
      expected += std::log1p(std::exp(rewards[i + 1] - rewards[i]));
  }
  EXPECT_NEAR(whole_result.loss, expected / static_cast<double>(pairs), 1e-5);

  const c10::AutoGradMode with_gradients(true);
  for (const int64_t size : {1, 2}) {
    const std::vector<at::Tensor> parts = gradients(run, rows, size, result);
    EXPECT_NEAR(result.loss, whole_result.loss, 1e-6);
    for (size_t i = 0; i < whole.size(); ++i)
      EXPECT_LT((parts[i] - whole[i]).abs().max().item<double>(),
                1e-5 * whole[i].abs().max().item<double>() + 1e-9);
  }
}

TEST_P(PreferenceTest, LearnsWhichAnswerIsPreferred) {
  recipe::Recipe longer = recipe("run");
  longer.batch.max_steps = 60;
  longer.optimizer.learning_rate = 2e-2;
  longer.run.eval_steps = 60;
  longer.run.evals_per_epoch.reset();
  TinyRun run(longer, two_tasks());
  const std::vector<data::EncodedDataset> held_out = {preference_dataset(50, 0, 9),
                                                      preference_dataset(50, 1, 10)};
  const auto rows = data::pack_in_order(held_out, {.sequence_len = 48});
  const auto objective = make_objective(*run.decoder, *run.mixture, run.reward_head.get());
  const ValidationResult before = validate(*objective, rows, 100);
  TrainCallbacks callbacks;
  callbacks.validate = [&] { return validate(*objective, rows, 100); };
  run.start(callbacks);
  const ValidationResult after = validate(*objective, rows, 1 << 20);
  EXPECT_LT(after.loss, before.loss);
  EXPECT_GT(after.pair_accuracy.value(), 0.8);
  const Json last = Json::parse(timeless_log(longer.run.output_dir).back());
  EXPECT_NEAR(last["eval_pair_accuracy"].get<double>(), *after.pair_accuracy, 0.011);
  EXPECT_NEAR(last["eval_loss"].get<double>(), after.loss, 1e-4);
}

TEST_P(PreferenceTest, HalfAndHalfEqualsTheWholeBitForBit) {
  TinyRun whole(recipe("whole"), two_tasks());
  whole.start();
  {
    TinyRun first(recipe("halves"), two_tasks());
    TrainCallbacks callbacks;
    callbacks.should_stop = [asked = 0]() mutable { return ++asked == 10; };
    EXPECT_EQ(first.start(callbacks).steps, 4);
  }
  recipe::Recipe resumed = recipe("halves");
  resumed.run.auto_resume_from_checkpoints = true;
  TinyRun second(resumed, two_tasks());
  EXPECT_EQ(second.start().steps, 8);
  EXPECT_TRUE(same_bits(second.values(), whole.values()));
  EXPECT_EQ(timeless_log(folder_.path() / "halves"), timeless_log(folder_.path() / "whole"));
  for (const char* file :
       {"reward_head.safetensors", "checkpoints/step-000008/optimizer.safetensors"})
    EXPECT_EQ(read_file(folder_.path() / "halves" / file),
              read_file(folder_.path() / "whole" / file));
}

TEST_P(PreferenceTest, TheHeadIsPartOfTheRun) {
  TinyRun run(recipe("run"), two_tasks());
  run.start();
  const fs::path folder = folder_.path() / "run";
  const auto loaded = nn::RewardHead::load(nn::reward_head_file(folder));
  for (size_t i = 0; i < loaded->parameters().size(); ++i)
    EXPECT_TRUE(at::equal(loaded->parameters()[i].tensor, run.reward_head->parameters()[i].tensor));
  EXPECT_THAT(read_file(folder / "manifest.json"), HasSubstr("reward_head.safetensors"));
  recipe::Recipe again = recipe("run");  // a run of its own, which may be removed
  again.run.overwrite_output_dir = true;
  TinyRun other(again, two_tasks());
  EXPECT_EQ(other.start().steps, 8);
}

TEST(Preference, DocumentsWithoutAPartnerAreRefused) {
  const test::TempFolder folder;
  TinyRun run(preference_recipe(folder.path() / "run", "lora"));
  EXPECT_THAT(run.error_of_start().what(), HasSubstr("compares pairs of answers"));
}

TEST(Preference, AHeadThatIsMissingStopsResuming) {
  const test::TempFolder folder;
  {
    TinyRun first(preference_recipe(folder.path() / "run", "lora"), two_tasks());
    TrainCallbacks callbacks;
    callbacks.should_stop = [asked = 0]() mutable { return ++asked == 10; };
    first.start(callbacks);
  }
  for (const auto& entry : fs::directory_iterator(folder.path() / "run" / "checkpoints"))
    if (entry.is_directory()) fs::remove(entry.path() / "reward_head.safetensors");
  recipe::Recipe resumed = preference_recipe(folder.path() / "run", "lora");
  resumed.run.auto_resume_from_checkpoints = true;
  EXPECT_THROW(TinyRun(resumed, two_tasks()).start(), Error);
}

}  // namespace
}  // namespace lmoe::train
