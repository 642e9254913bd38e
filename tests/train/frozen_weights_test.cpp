// Training on a base that is kept as its file has it, against the same base expanded at once.
#include "arch/frozen_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "arch/weight_inventory.h"
#include "nn/panel_product.h"
#include "support/stored_base.h"
#include "train/memory_forecast.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using arch::FrozenWeights;
using test::block_config;

/// The same run on another base.
void put_on(TinyRun& run, arch::BaseModel base, FrozenWeights frozen) {
  const at::ScalarType dtype = run.decoder->dtype();
  run.mixture.reset();
  run.decoder = models::Decoder::load(base, {.dtype = dtype, .frozen_weights = frozen});
  run.mixture = std::make_unique<mixture::Mixture>(run.recipe.mixture, run.decoder->sockets(),
                                                   static_cast<uint64_t>(run.recipe.batch.seed));
  run.mixture->plug(run.decoder->sockets());
}

struct Outcome {
  std::vector<at::Tensor> values;
  std::vector<std::string> log;
  int64_t weight_bytes = 0;
};

Outcome train_on(arch::BaseModel base,
                 FrozenWeights frozen,
                 recipe::Recipe recipe,
                 const fs::path& folder) {
  recipe.run.output_dir = folder.string();
  TinyRun run(recipe);
  put_on(run, std::move(base), frozen);
  run.start();
  return {run.values(), timeless_log(folder), run.decoder->weight_bytes()};
}

class FrozenWeightsOf : public ::testing::TestWithParam<const char*> {
 protected:
  test::TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, FrozenWeightsOf, all_variants(), variant_name);

TEST_P(FrozenWeightsOf, AFileLearnsTheSameBitForBit) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.batch.max_steps = 3;
  const auto base = [] { return test::stored_base(block_config(), io::DType::kQ4_1); };
  const Outcome dense = train_on(base(), FrozenWeights::kDense, recipe, folder_.path() / "dense");
  const Outcome file = train_on(base(), FrozenWeights::kFile, recipe, folder_.path() / "file");
  EXPECT_LT(file.weight_bytes, dense.weight_bytes / 2);
  EXPECT_EQ(file.log, dense.log);
  EXPECT_TRUE(same_bits(file.values, dense.values));
}

// All types: tests/models/frozen_weights_test.cpp.
TEST(FrozenWeightsTest, AHeadOfItsOwnLearnsTheSame) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("unused", "l-moe");
  recipe.batch.max_steps = 2;
  arch::ModelConfig config = block_config();
  config.tie_word_embeddings = false;
  const auto run = [&](FrozenWeights frozen, const std::string& name) {
    return train_on(test::stored_base(config, io::DType::kF16), frozen, recipe,
                    folder.path() / name);
  };
  const Outcome dense = run(FrozenWeights::kDense, "dense"),
                file = run(FrozenWeights::kFile, "file");
  EXPECT_EQ(file.log, dense.log);
  EXPECT_TRUE(same_bits(file.values, dense.values));
}

TEST(FrozenWeightsTest, AKeptPrefixLearnsTheSame) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("unused", "upper");
  recipe.batch.max_steps.reset();
  recipe.batch.num_epochs = 2;  // the second one begins at the upper layer
  const auto run = [&](FrozenWeights frozen, const std::string& name) {
    return train_on(test::stored_base(block_config(), io::DType::kQ5_K), frozen, recipe,
                    folder.path() / name);
  };
  const Outcome dense = run(FrozenWeights::kDense, "dense");
  const Outcome file = run(FrozenWeights::kFile, "file");
  EXPECT_EQ(file.log, dense.log);
  EXPECT_TRUE(same_bits(file.values, dense.values));
}

TEST(FrozenWeightsTest, RoundedOnesAreThoseOfARoundedBase) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("unused", "dora");
  recipe.batch.max_steps = 2;
  const auto base = [] { return test::stored_base(block_config(), io::DType::kF32); };
  for (const auto& [frozen, dtype, bits] :
       {std::tuple{FrozenWeights::kBf16, io::DType::kBF16, 16.0},
        {FrozenWeights::kInt8, io::DType::kQ8_0, 8.5},
        {FrozenWeights::kInt4, io::DType::kQ4_1, 5.0}}) {
    const std::string name = io::dtype_name(dtype);
    const Outcome dense = train_on(test::rounded_base(base(), dtype), FrozenWeights::kDense, recipe,
                                   folder.path() / (name + "dense"));
    const Outcome stored = train_on(base(), frozen, recipe, folder.path() / name);
    EXPECT_EQ(stored.log, dense.log) << name;
    EXPECT_TRUE(same_bits(stored.values, dense.values)) << name;
    EXPECT_NEAR(static_cast<double>(stored.weight_bytes) / static_cast<double>(dense.weight_bytes),
                bits / 32, 0.01);
  }
}

TEST(FrozenWeightsTest, HalfAndHalfEqualsTheWholeBitForBit) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("unused", "top-k");
  recipe.batch.max_steps = 4;
  const auto base = [] { return test::stored_base(block_config(), io::DType::kQ6_K); };
  const Outcome whole = train_on(base(), FrozenWeights::kFile, recipe, folder.path() / "whole");
  recipe.run.output_dir = (folder.path() / "halves").string();
  {
    TinyRun first(recipe);
    put_on(first, base(), FrozenWeights::kFile);
    TrainCallbacks callbacks;
    callbacks.should_stop = [asked = 0]() mutable { return ++asked == 5; };
    EXPECT_TRUE(first.start(callbacks).interrupted);
  }
  recipe.run.auto_resume_from_checkpoints = true;
  TinyRun second(recipe);
  put_on(second, base(), FrozenWeights::kFile);
  EXPECT_FALSE(second.start().interrupted);
  EXPECT_TRUE(same_bits(second.values(), whole.values));
}

TEST(FrozenWeightsTest, TakeTheMemoryThatIsForecast) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = block_config();
  for (const io::DType dtype : {io::DType::kF32, io::DType::kBF16, io::DType::kQ4_1}) {
    for (const at::ScalarType computed : {at::kFloat, at::kBFloat16}) {
      const auto bytes = static_cast<int64_t>(at::elementSize(computed));
      for (const FrozenWeights frozen :
           {FrozenWeights::kDense, FrozenWeights::kFile, FrozenWeights::kBf16, FrozenWeights::kInt8,
            FrozenWeights::kInt4}) {
        arch::BaseModel base = test::stored_base(config, dtype);
        const arch::WeightInventory weights = arch::inventory(base);
        const auto decoder =
            models::Decoder::load(base, {.dtype = computed, .frozen_weights = frozen});
        EXPECT_EQ(weights.bytes(frozen, bytes), decoder->weight_bytes());
        recipe.batch.frozen_weights = frozen;
        const int64_t forecast = forecast_memory(recipe, config, bytes, weights).base_bytes;
        const int64_t expanded = decoder->lm_head().is_dense() ? 0 : 512 * 256 * bytes;
        EXPECT_EQ(forecast, decoder->weight_bytes() + expanded);
      }
    }
  }
}

}  // namespace
}  // namespace lmoe::train
