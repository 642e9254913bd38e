#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/recipe_text.h"

namespace lmoe::recipe {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ForeignKeys, WhatIsNotBuiltIsRefusedByName) {
  for (const char* key : {"tf32", "fp16", "mask_history", "push_to_hub"}) {
    const std::string on = std::string(key) + ": true\n";
    EXPECT_THAT(message_of("\n" + on), HasSubstr("r.yaml:2: \"" + std::string(key) + ": true\""));
    EXPECT_EQ(code_of(on), ErrorCode::kUnsupported);
    EXPECT_EQ(message_of(std::string(key) + ": false\n"), "no error");
  }
  EXPECT_THAT(message_of("bias: all\n"), HasSubstr("biases"));
  EXPECT_EQ(message_of("bias: none\n"), "no error");
  EXPECT_THAT(message_of("rank_pattern: {q_proj: 4}\n"), HasSubstr("rank_pattern"));
}

TEST(ForeignKeys, BitsOfAFrozenBase) {
  using arch::FrozenWeights;
  const auto frozen = [](const std::string& text, const std::vector<std::string>& overrides = {}) {
    return read_text(text, overrides).batch.frozen_weights;
  };
  EXPECT_EQ(frozen(""), FrozenWeights::kDense);
  EXPECT_EQ(frozen("frozen_weights: file\n"), FrozenWeights::kFile);
  EXPECT_EQ(frozen("load_in_8bit: true\n"), FrozenWeights::kInt8);
  EXPECT_EQ(frozen("load_in_4bit: true\n"), FrozenWeights::kInt4);
  EXPECT_EQ(frozen("quantization_bit: 8\n"), FrozenWeights::kInt8);
  EXPECT_EQ(frozen("quantization_bit: 4\n"), FrozenWeights::kInt4);
  EXPECT_EQ(frozen("load_in_8bit: false\nload_in_4bit: true\n"), FrozenWeights::kInt4);
  EXPECT_EQ(frozen("load_in_8bit: false\nload_in_4bit: false\n"), FrozenWeights::kDense);
  EXPECT_EQ(frozen("load_in_4bit: true\nfrozen_weights: int4\n"), FrozenWeights::kInt4);
  EXPECT_EQ(frozen("load_in_4bit: true\n", {"frozen_weights=file"}), FrozenWeights::kFile);
  EXPECT_EQ(frozen("frozen_weights: file\n", {"load_in_8bit=true"}), FrozenWeights::kInt8);
  EXPECT_THAT(notes_of("load_in_4bit: true\n"),
              Contains("\"load_in_4bit: true\" read as \"frozen_weights: int4\""));
}

TEST(ForeignKeys, BitsOfAFrozenBaseThatContradictAreRefused) {
  EXPECT_THAT(
      message_of("load_in_8bit: true\nload_in_4bit: true\n"),
      ::testing::AllOf(HasSubstr("r.yaml:2: \"load_in_4bit: true\" means \"frozen_weights: int4\""),
                       HasSubstr("r.yaml:1 says int8")));
  EXPECT_THAT(message_of("frozen_weights: file\nload_in_8bit: true\n"), HasSubstr("says file"));
  EXPECT_THAT(message_of("load_in_4bit: 1\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(message_of("load_in_4bit: [a]\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(message_of("quantization_bit: 3\n"), HasSubstr("given \"3\", expected 8 or 4"));
  EXPECT_THAT(message_of("frozen_weights: int5\n"),
              HasSubstr("expected one of dense, file, bf16, int8, int4"));
}

TEST(ForeignKeys, GradientCheckpointingHasThreeNames) {
  for (const char* key :
       {"gradient_checkpointing", "grad_checkpoint", "enable_activation_checkpointing"})
    EXPECT_TRUE(read_text(std::string(key) + ": true\n").batch.gradient_checkpointing);
  EXPECT_FALSE(read_text("").batch.gradient_checkpointing);
}

TEST(ForeignKeys, ScaleIsNotAlpha) {
  EXPECT_THAT(message_of("scale: 20\n"), HasSubstr("lora_alpha = scale x lora_r"));
  EXPECT_THAT(message_of("resume_adapter_file: a\n"), HasSubstr("weights only"));
}

TEST(ForeignKeys, MaskPromptIsTheInverse) {
  EXPECT_TRUE(read_text("mask_prompt: false\n").data.train_on_inputs);
  EXPECT_FALSE(read_text("mask_prompt: true\n").data.train_on_inputs);
  EXPECT_THAT(notes_of("mask_prompt: true\n"),
              Contains("\"mask_prompt: true\" read as \"train_on_inputs: false\""));
  EXPECT_EQ(message_of("mask_prompt: true\ntrain_on_inputs: false\n"), "no error");
  EXPECT_THAT(message_of("mask_prompt: true\ntrain_on_input: true\n"), HasSubstr("r.yaml:2"));
  EXPECT_THAT(message_of("mask_prompt: 1\n"), HasSubstr("expected true or false"));
  EXPECT_TRUE(read_text("mask_prompt: true\n", {"train_on_inputs=true"}).data.train_on_inputs);
}

TEST(ForeignKeys, NamesOfOptimizers) {
  EXPECT_THAT(message_of("optimizer: adafactor\n"),
              HasSubstr("given \"adafactor\", expected one of adamw, adamw_torch, "
                        "adamw_torch_fused, sgd"));
  EXPECT_EQ(message_of("optim: sgd\n"), "no error");
  EXPECT_EQ(message_of("optim: adamw_torch\n"), "no error");
  EXPECT_THAT(message_of("optimizer: {lr: 1e-3}\n"), HasSubstr("learning_rate"));
  EXPECT_THAT(message_of("optimizer.lr: 1e-3\n"), HasSubstr("optimizer.lr"));
  EXPECT_THAT(message_of("optimizer: adamw\n", {"optimizer.lr=1e-3"}), HasSubstr("learning_rate"));
}

TEST(ForeignKeys, NothingIsSentAnywhere) {
  EXPECT_EQ(message_of("report_to: none\n"), "no error");
  EXPECT_EQ(message_of("report_to: [none]\n"), "no error");
  EXPECT_THAT(message_of("report_to: wandb\n"), HasSubstr("sends nothing anywhere"));
}

TEST(ForeignKeys, NamesOfTypes) {
  EXPECT_EQ(read_text("torch_dtype: bfloat16\n").batch.bf16, Bf16::kTrue);
  EXPECT_EQ(read_text("dtype: float32\n").batch.bf16, Bf16::kFalse);
  EXPECT_EQ(read_text("bf16: auto\n").batch.bf16, Bf16::kAuto);
  EXPECT_THAT(message_of("dtype: float16\n"), HasSubstr("expected one of auto, true, false"));
  EXPECT_EQ(message_of("bf16: true\ndtype: bfloat16\n"), "no error");
  EXPECT_THAT(message_of("bf16: true\ndtype: float32\n"), HasSubstr("different values"));
}

TEST(ForeignKeys, APathIsADataSet) {
  EXPECT_EQ(read_text("dataset: d.jsonl\n").data.datasets.at(0).path, "d.jsonl");
  EXPECT_EQ(read_text("datasets: [a, {path: b}]\n").data.datasets.at(1).path, "b");
  EXPECT_EQ(read_text("", {"datasets=a"}).data.datasets.at(0).path, "a");
  EXPECT_THAT(message_of("datasets: [{type: text}]\n"), HasSubstr("path"));
}

TEST(ForeignKeys, ConstantWithWarmup) {
  EXPECT_EQ(read_text("lr_scheduler_type: constant_with_warmup\n").optimizer.lr_scheduler,
            LrScheduler::kConstant);
  EXPECT_EQ(read_text("lr_scheduler_type: constant_with_warmup\n").optimizer.warmup_ratio, 0.03);
  EXPECT_THAT(message_of("lr_scheduler: polynomial\n"), HasSubstr("expected one of cosine"));
}

}  // namespace
}  // namespace lmoe::recipe
