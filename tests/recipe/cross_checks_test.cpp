#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/recipe_text.h"

namespace lmoe::recipe {
namespace {

using ::testing::HasSubstr;

TEST(CrossChecks, BatchSizeIsRowsPerStep) {
  const BatchOptions whole =
      read_text("batch_size: 12\nmicro_batch_size: 4\ngradient_accumulation_steps: 3\n").batch;
  EXPECT_EQ(whole.micro_batch_size * whole.gradient_accumulation_steps, 12);
  EXPECT_EQ(read_text("batch_size: 12\nmicro_batch_size: 4\n").batch.gradient_accumulation_steps,
            3);
  EXPECT_EQ(read_text("batch_size: 12\ngradient_accumulation_steps: 2\n").batch.micro_batch_size,
            6);
  EXPECT_THAT(message_of("batch_size: 12\n"),
              HasSubstr("given 12 alone, expected micro_batch_size or"));
  EXPECT_THAT(message_of("batch_size: 10\nmicro_batch_size: 4\n"),
              HasSubstr("given 10, expected a multiple of micro_batch_size 4"));
  EXPECT_THAT(message_of("micro_batch_size: 4\ngradient_accumulation_steps: 3\nbatch_size: 10\n"),
              HasSubstr("r.yaml:3: batch_size contradicts other keys: given 10, expected"));
}

TEST(CrossChecks, ItersOnlyWithoutAccumulation) {
  EXPECT_EQ(read_text("iters: 5\n").batch.max_steps, 5);
  EXPECT_THAT(message_of("gradient_accumulation_steps: 2\niters: 5\n"),
              HasSubstr("r.yaml:2: iters counts forwards"));
  EXPECT_EQ(read_text("gradient_accumulation_steps: 2\nmax_steps: 5\n").batch.max_steps, 5);
}

TEST(CrossChecks, KeysThatExcludeEachOther) {
  EXPECT_THAT(message_of("warmup_ratio: 0.1\nwarmup_steps: 3\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(message_of("save_steps: 3\nsaves_per_epoch: 2\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(message_of("eval_steps: 3\nevals_per_epoch: 2\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(message_of("resume_from_checkpoint: a\nauto_resume_from_checkpoints: true\n"),
              HasSubstr("exclude each other"));
  EXPECT_THAT(message_of("auto_resume_from_checkpoints: true\noverwrite_output_dir: true\n"),
              HasSubstr("would remove the run"));
}

TEST(CrossChecks, AFolderForAFileThatIsNotWanted) {
  EXPECT_THAT(message_of("document_cache_dir: /scratch\n"),
              HasSubstr("r.yaml:1: document_cache_dir cannot act without a file"));
  const Recipe recipe = read_text("document_cache_dir: /scratch\ndocument_cache_file_mb: 10\n");
  EXPECT_EQ(recipe.run.document_cache_dir, "/scratch");
}

TEST(CrossChecks, OneOfAPairReplacesTheOthersDefault) {
  const Recipe recipe = read_text("warmup_steps: 3\nsave_steps: 2\neval_steps: 2\n");
  EXPECT_FALSE(recipe.optimizer.warmup_ratio);
  EXPECT_FALSE(recipe.run.saves_per_epoch);
  EXPECT_FALSE(recipe.run.evals_per_epoch);
}

TEST(CrossChecks, AConstantRateWarmsUpOnlyWhereAsked) {
  EXPECT_FALSE(read_text("lr_scheduler: constant\n").optimizer.warmup_ratio);
  EXPECT_FALSE(
      read_text("lr_scheduler: cosine\n", {"lr_scheduler=constant"}).optimizer.warmup_ratio);
  EXPECT_EQ(read_text("lr_scheduler: constant\nwarmup_ratio: 0.1\n").optimizer.warmup_ratio, 0.1);
  EXPECT_EQ(read_text("lr_scheduler: constant\nwarmup_steps: 4\n").optimizer.warmup_steps, 4);
  EXPECT_EQ(read_text("lr_scheduler: linear\n").optimizer.warmup_ratio, 0.03);
  // What is written down reads as the same again.
  for (const char* text : {"lr_scheduler: constant\n", "lr_scheduler: constant_with_warmup\n"}) {
    const Recipe recipe = read_text(text);
    const Recipe again = read_text(effective_config(recipe).dump());
    EXPECT_EQ(again.optimizer.warmup_ratio, recipe.optimizer.warmup_ratio) << text;
  }
}

TEST(CrossChecks, KeysThatCannotActAreErrors) {
  EXPECT_THAT(message_of("loss_watchdog_patience: 5\n"), HasSubstr("cannot act"));
  EXPECT_EQ(message_of("loss_watchdog_patience: 5\nloss_watchdog_threshold: 9\n"), "no error");
  EXPECT_THAT(message_of("train_on_inputs: true\nroles_to_train: [user]\n"),
              HasSubstr("r.yaml:2: roles_to_train cannot act"));
  EXPECT_THAT(message_of("adapter: lora\nrouter_lr_multiplier: 2\n"),
              HasSubstr("method lora has no router"));
  EXPECT_THAT(message_of("lr: 1\nsgd_momentum: 0.9\n"),
              HasSubstr("r.yaml:2: sgd_momentum cannot act with optimizer: adamw"));
  EXPECT_EQ(message_of("optimizer: sgd\nsgd_momentum: 0.9\n"), "no error");
  for (const char* key : {"adam_beta1", "adam_beta2", "adam_epsilon"})
    EXPECT_THAT(message_of(concat("optimizer: sgd\n", key, ": 0.5\n")),
                HasSubstr(concat("r.yaml:2: ", key, " cannot act with optimizer: sgd")));
  EXPECT_THAT(message_of("mixture: {select: {k: 2, kind: all}}\n"), HasSubstr("cannot act"));
  EXPECT_THAT(message_of("train_on_inputs: true\nmixture: {prompts: {count: 2}}\n"),
              HasSubstr("r.yaml:2: gate.pool prompt, select.private_by role and prompts"));
  EXPECT_THAT(message_of("gradient_checkpointing: true\n"
                         "mixture: {gate: {source: embedding}, prompts: {count: 2}}\n"),
              HasSubstr("computed again"));
  const std::string bank = "mixture: {prompts: {count: 4, length: 10, select: 3}}\n";
  EXPECT_EQ(message_of("sequence_len: 38\n" + bank), "no error");
  EXPECT_THAT(message_of("sequence_len: 37\n" + bank), HasSubstr("given 37, expected at least 38"));
}

TEST(CrossChecks, RangesAndTypes) {
  EXPECT_THAT(message_of("micro_batch_size: 0\n"), HasSubstr("from 1"));
  EXPECT_THAT(message_of("micro_batch_size: 1.5\n"), HasSubstr("a whole number"));
  EXPECT_THAT(message_of("learning_rate: -1\n"), HasSubstr("from 0"));
  EXPECT_THAT(message_of("warmup_ratio: 2\n"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(message_of("seed: -1\n"), HasSubstr("from 0"));
  EXPECT_THAT(message_of("sample_packing: yes\n"), HasSubstr("true or false"));
}

}  // namespace
}  // namespace lmoe::recipe
