#include "train/memory_shortage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/stored_base.h"
#include "train/memory_forecast.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using arch::FrozenWeights;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(MemoryShortage, NamesGradientCheckpointingWhereItHelps) {
  recipe::Recipe recipe = tiny_recipe("unused");
  arch::ModelConfig config = test::tiny_config();
  config.num_hidden_layers = 20;
  recipe.data.sequence_len = 100'000;
  recipe.batch.gradient_checkpointing = true;
  const int64_t needed = forecast_memory(recipe, config, 4).total();
  EXPECT_NO_THROW(check_memory(recipe, config, 4, needed));
  recipe.batch.gradient_checkpointing = false;
  EXPECT_THAT(memory_shortage(recipe, config, 4, needed),
              HasSubstr("gradient_checkpointing=true needs "));
  EXPECT_THAT(memory_shortage(recipe, config, 4, 3 * needed / 4),
              HasSubstr("gradient_checkpointing=true with micro_batch_size=1 needs "));
}

TEST(MemoryShortage, RefusesEarlyWithWhatWouldFit) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  recipe.batch.micro_batch_size = 3;
  const int64_t needed = forecast_memory(recipe, config, 4).total();
  EXPECT_NO_THROW(check_memory(recipe, config, 4, needed));
  EXPECT_NO_THROW(check_memory(recipe, config, 4, 0));
  recipe.batch.micro_batch_size = 200;
  try {
    check_memory(recipe, config, 4, needed);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
    EXPECT_THAT(error.what(), HasSubstr("hint: micro_batch_size="));
  }
  recipe.data.sequence_len = 100'000;
  EXPECT_THAT(memory_shortage(recipe, config, 4, 2 * needed),
              HasSubstr("micro_batch_size=1 with sequence_len="));
  try {
    check_memory(recipe, config, 4, 1000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hint: bf16=true, fewer experts"));
  }
}

/// Several long rows on a base whose matrices are all of one type in its file.
class SettingsThatFit : public ::testing::Test {
 protected:
  SettingsThatFit() {
    recipe_.batch.micro_batch_size = 4;
    recipe_.data.sequence_len = 600;
    config_.num_hidden_layers = 12;
    store_as(io::DType::kQ4_1);
  }

  /// Hardly any activations beside the weights.
  void shorten_rows() {
    recipe_.batch.micro_batch_size = 1;
    recipe_.data.sequence_len = 32;
  }

  void store_as(io::DType type) {
    weights_ = arch::inventory(config_);
    weights_.matrices = {{type, weights_.matrices.at(io::DType::kF32)}};
  }

  /// What is said when exactly as much is free as `changed` needs.
  std::string text_for(const recipe::Recipe& changed, int64_t less = 0) const {
    const int64_t needed = forecast_memory(changed, config_, 4, weights_).total();
    return memory_shortage(recipe_, config_, 4, needed - less, weights_);
  }

  /// "hint: frozen_weights=file needs 0.23 GB", at the end of the text.
  static auto names(const std::string& settings) {
    return ::testing::ContainsRegex("hint: " + settings + " needs [0-9]+[.][0-9]+ GB$");
  }

  recipe::Recipe recipe_ = tiny_recipe("unused");
  arch::ModelConfig config_ = test::block_config();
  arch::WeightInventory weights_;
};

TEST_F(SettingsThatFit, AreTheFewest) {
  recipe::Recipe changed = recipe_;
  changed.batch.frozen_weights = FrozenWeights::kFile;
  EXPECT_THAT(text_for(changed), names("frozen_weights=file"));
  changed.batch.micro_batch_size = 3;
  EXPECT_THAT(text_for(changed), names("micro_batch_size=2"));
  changed = recipe_;
  changed.batch.gradient_checkpointing = true;
  EXPECT_THAT(text_for(changed), names("gradient_checkpointing=true"));
  changed.batch.frozen_weights = FrozenWeights::kFile;
  EXPECT_THAT(text_for(changed), names("frozen_weights=file with gradient_checkpointing=true"));
  changed.batch.micro_batch_size = 1;
  EXPECT_THAT(text_for(changed),
              names("frozen_weights=file and gradient_checkpointing=true with micro_batch_size=1"));
  EXPECT_THAT(text_for(changed, /*less=*/1),
              names("frozen_weights=file and gradient_checkpointing=true and micro_batch_size=1 "
                    "with sequence_len=300"));
}

TEST_F(SettingsThatFit, LetGoOfKeptDocuments) {
  shorten_rows();
  recipe_.mixture.layers_to_transform = {2, 3};
  recipe_.run.frozen_prefix_cache_mb = 30;
  recipe::Recipe changed = recipe_;
  changed.run.frozen_prefix_cache_mb = 0;
  EXPECT_THAT(text_for(changed), names("first_pass_cache_mb=0 with frozen_prefix_cache_mb=0"));
  changed.batch.frozen_weights = FrozenWeights::kFile;
  EXPECT_THAT(text_for(changed),
              names("first_pass_cache_mb=0 and frozen_prefix_cache_mb=0 with frozen_weights=file"));
}

TEST_F(SettingsThatFit, RoundTheBaseOnlyWhereNothingElseHelps) {
  shorten_rows();
  config_.vocab_size = 60'000;
  store_as(io::DType::kF32);
  recipe::Recipe changed = recipe_;
  for (const FrozenWeights rounded :
       {FrozenWeights::kBf16, FrozenWeights::kInt8, FrozenWeights::kInt4}) {
    changed.batch.frozen_weights = rounded;
    const std::string name = concat("frozen_weights=", enum_name(rounded));
    EXPECT_THAT(text_for(changed), names(name + " [(]which rounds the base[)]"));
  }
  EXPECT_THAT(text_for(changed, /*less=*/1),
              names("frozen_weights=int4 [(]which rounds the base[)] with "
                    "gradient_checkpointing=true"));
  store_as(io::DType::kBF16);  // rounded by nobody: as the file has it
  changed.batch.frozen_weights = FrozenWeights::kBf16;
  EXPECT_THAT(text_for(changed), names("frozen_weights=file"));
}

TEST_F(SettingsThatFit, RoundNoRowsThatAreNoWholeBlocks) {
  shorten_rows();
  config_.vocab_size = 20'000;
  config_.hidden_size = 264;
  store_as(io::DType::kF32);
  recipe::Recipe changed = recipe_;
  changed.batch.frozen_weights = FrozenWeights::kBf16;
  EXPECT_THAT(text_for(changed), HasSubstr("frozen_weights=bf16"));
  changed.batch.frozen_weights = FrozenWeights::kInt4;
  EXPECT_THAT(text_for(changed), Not(HasSubstr("frozen_weights=int")));
}

}  // namespace
}  // namespace lmoe::train
