// Training on a base that is kept as its file has it, against the same base expanded at once.
#include "arch/frozen_weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arch/weight_inventory.h"
#include "support/stored_base.h"
#include "train/memory_forecast.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

using arch::FrozenWeights;
using test::block_config;
using ::testing::HasSubstr;

/// A run on a base that is kept as `frozen` says.
class RunOn : public TinyRun {
 public:
  RunOn(arch::BaseModel stored, FrozenWeights frozen, recipe::Recipe of_run)
      : TinyRun(std::move(of_run)) {
    const at::ScalarType dtype = decoder->dtype();
    recipe.batch.frozen_weights = frozen;
    base.rounded_to =
        arch::inventory(stored).rounding(frozen, static_cast<int64_t>(at::elementSize(dtype)));
    put_on(models::Decoder::load(stored, {.dtype = dtype, .frozen_weights = frozen}));
  }
};

struct Outcome {
  std::vector<at::Tensor> values;
  std::vector<std::string> log;
  int64_t weight_bytes = 0;
};

class FrozenWeightsTest : public ::testing::Test {
 protected:
  /// Where a run of this name goes.
  recipe::Recipe named(const std::string& name, recipe::Recipe recipe) const {
    recipe.run.output_dir = (folder_.path() / name).string();
    return recipe;
  }

  /// In a folder of its own.
  Outcome train_on(arch::BaseModel base, FrozenWeights frozen, const recipe::Recipe& recipe) {
    RunOn run(std::move(base), frozen, named(concat("run", ++runs_), recipe));
    run.start();
    return {run.values(), timeless_log(run.recipe.run.output_dir), run.decoder->weight_bytes()};
  }

  /// Returns what a file takes of the memory of a dense base.
  double expect_a_file_learns_the_same(const arch::ModelConfig& config,
                                       io::DType dtype,
                                       const recipe::Recipe& recipe) {
    const auto base = [&] { return test::stored_base(config, dtype); };
    const Outcome dense = train_on(base(), FrozenWeights::kDense, recipe);
    const Outcome file = train_on(base(), FrozenWeights::kFile, recipe);
    EXPECT_EQ(file.log, dense.log);
    EXPECT_TRUE(same_bits(file.values, dense.values));
    return static_cast<double>(file.weight_bytes) / static_cast<double>(dense.weight_bytes);
  }

  test::TempFolder folder_;

 private:
  int runs_ = 0;
};

class FrozenWeightsOf : public FrozenWeightsTest,
                        public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(All, FrozenWeightsOf, all_variants(), variant_name);

TEST_P(FrozenWeightsOf, AFileLearnsTheSameBitForBit) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.batch.max_steps = 3;
  EXPECT_LT(expect_a_file_learns_the_same(block_config(), io::DType::kQ4_1, recipe), 0.5);
}

// All types: tests/models/frozen_weights_test.cpp.
TEST_F(FrozenWeightsTest, AHeadOfItsOwnLearnsTheSame) {
  recipe::Recipe recipe = variant_recipe("unused", "l-moe");
  recipe.batch.max_steps = 2;
  arch::ModelConfig config = block_config();
  config.tie_word_embeddings = false;
  expect_a_file_learns_the_same(config, io::DType::kF16, recipe);
}

TEST_F(FrozenWeightsTest, AKeptPrefixLearnsTheSame) {
  recipe::Recipe recipe = variant_recipe("unused", "upper");
  recipe.batch.max_steps.reset();
  recipe.batch.num_epochs = 2;  // the second one begins at the upper layer
  expect_a_file_learns_the_same(block_config(), io::DType::kQ5_K, recipe);
}

TEST_F(FrozenWeightsTest, RoundedOnesAreThoseOfARoundedBase) {
  recipe::Recipe recipe = variant_recipe("unused", "dora");
  recipe.batch.max_steps = 2;
  const auto base = [] { return test::stored_base(block_config(), io::DType::kF32); };
  for (const auto& [frozen, dtype, bits] :
       {std::tuple{FrozenWeights::kBf16, io::DType::kBF16, 16.0},
        {FrozenWeights::kInt8, io::DType::kQ8_0, 8.5},
        {FrozenWeights::kInt4, io::DType::kQ4_1, 5.0}}) {
    const std::string name = io::dtype_name(dtype);
    const Outcome dense =
        train_on(test::rounded_base(base(), dtype), FrozenWeights::kDense, recipe);
    const Outcome stored = train_on(base(), frozen, recipe);
    EXPECT_EQ(stored.log, dense.log) << name;
    EXPECT_TRUE(same_bits(stored.values, dense.values)) << name;
    EXPECT_NEAR(static_cast<double>(stored.weight_bytes) / static_cast<double>(dense.weight_bytes),
                bits / 32, 0.01);
  }
}

/// A run of four steps that is stopped in the third on one base, and goes on on another one.
class ResumedFrozenWeights : public FrozenWeightsTest {
 protected:
  ResumedFrozenWeights() { recipe_.batch.max_steps = 4; }

  void stop_halfway(const std::string& name, io::DType dtype, FrozenWeights frozen) const {
    RunOn first(test::stored_base(block_config(), dtype), frozen, named(name, recipe_));
    TrainCallbacks callbacks;
    callbacks.should_stop = [asked = 0]() mutable { return ++asked == 5; };
    EXPECT_TRUE(first.start(callbacks).interrupted);
  }

  RunOn resumed(const std::string& name, io::DType dtype, FrozenWeights frozen) const {
    recipe::Recipe recipe = named(name, recipe_);
    recipe.run.auto_resume_from_checkpoints = true;
    return {test::stored_base(block_config(), dtype), frozen, std::move(recipe)};
  }

  recipe::Recipe recipe_ = variant_recipe("unused", "top-k");
};

TEST_F(ResumedFrozenWeights, WithTheSameValuesHalfAndHalfEqualsTheWholeBitForBit) {
  using enum FrozenWeights;
  for (const auto& [dtype, before, after] : {std::tuple{io::DType::kQ6_K, kFile, kFile},
                                             {io::DType::kQ6_K, kDense, kFile},
                                             {io::DType::kQ6_K, kFile, kDense},
                                             {io::DType::kBF16, kBf16, kDense},
                                             {io::DType::kBF16, kFile, kBf16}}) {
    const std::string name =
        concat(io::dtype_name(dtype), "-", enum_name(before), "-", enum_name(after));
    const Outcome whole = train_on(test::stored_base(block_config(), dtype), before, recipe_);
    stop_halfway(name, dtype, before);
    RunOn second = resumed(name, dtype, after);
    EXPECT_FALSE(second.start().interrupted);
    EXPECT_TRUE(same_bits(second.values(), whole.values)) << name;
  }
}

TEST_F(ResumedFrozenWeights, OfOtherValuesAreRefused) {
  stop_halfway("run", io::DType::kF32, FrozenWeights::kDense);
  EXPECT_THAT(resumed("run", io::DType::kF32, FrozenWeights::kInt8).error_of_start().what(),
              HasSubstr("frozen_weights differs: checkpoint dense, the file's values; given "
                        "int8, values rounded to int8"));
}

TEST_F(FrozenWeightsTest, TakeTheMemoryThatIsForecast) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = block_config();
  for (const test::KeptWay& way : test::kept_ways()) {
    arch::BaseModel base = test::stored_base(config, way.stored);
    const arch::WeightInventory weights = arch::inventory(base);
    const auto decoder =
        models::Decoder::load(base, {.dtype = way.computed, .frozen_weights = way.frozen});
    recipe.batch.frozen_weights = way.frozen;
    const int64_t forecast = forecast_memory(recipe, config, way.bytes(), weights).base_bytes;
    const int64_t expanded = decoder->lm_head().is_dense() ? 0 : 512 * 256 * way.bytes();
    EXPECT_EQ(forecast, decoder->weight_bytes() + expanded);
  }
}

}  // namespace
}  // namespace lmoe::train
