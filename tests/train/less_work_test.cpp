// What saves work or memory must not change what is learned.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/peft_folder.h"
#include "train/document_caches.h"
#include "train/gradient_step.h"
#include "train/gradients.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

struct Outcome {
  std::vector<at::Tensor> values;
  std::vector<std::string> log;
};

Outcome outcome_of(recipe::Recipe recipe, const fs::path& folder) {
  recipe.run.output_dir = folder.string();
  TinyRun run(recipe);
  run.start();
  return {run.values(), timeless_log(folder)};
}

class LessWork : public ::testing::TestWithParam<const char*> {
 protected:
  test::TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, LessWork, all_variants(), variant_name);

TEST_P(LessWork, RecomputedLayersLearnTheSame) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.batch.gradient_checkpointing = false;
  const Outcome kept = outcome_of(recipe, folder_.path() / "kept");
  recipe.batch.gradient_checkpointing = true;
  const Outcome recomputed = outcome_of(recipe, folder_.path() / "recomputed");
  EXPECT_EQ(recomputed.log, kept.log);
  EXPECT_TRUE(same_bits(recomputed.values, kept.values));
}

TEST_P(LessWork, AKeptPrefixLearnsTheSame) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.mixture.layers_to_transform = {1};
  recipe.run.frozen_prefix_cache_mb = 0;
  const Outcome computed = outcome_of(recipe, folder_.path() / "computed");
  recipe.run.frozen_prefix_cache_mb = 1;
  const Outcome kept = outcome_of(recipe, folder_.path() / "kept");
  EXPECT_EQ(kept.log, computed.log);
  EXPECT_TRUE(same_bits(kept.values, computed.values));
}

TEST_P(LessWork, APrefixKeptInAFileLearnsTheSame) {
  recipe::Recipe recipe = variant_recipe("unused", GetParam());
  recipe.mixture.layers_to_transform = {1};
  recipe.run.frozen_prefix_cache_mb = recipe.run.first_pass_cache_mb = 0;
  const Outcome computed = outcome_of(recipe, folder_.path() / "computed");
  recipe.run.document_cache_file_mb = 32;
  if (recipe.mixture.prompts.count > 0) {  // they learn in front of the lowest layer
    EXPECT_THROW(outcome_of(recipe, folder_.path() / "kept"), Error);
    return;
  }
  const Outcome kept = outcome_of(recipe, folder_.path() / "kept");
  EXPECT_EQ(kept.log, computed.log);
  EXPECT_TRUE(same_bits(kept.values, computed.values));
}

// The GRU is shared by layers, whose gradients are added up in another order: no equal bits.
TEST(RecomputedLayers, HandOnTheStateOfARecurrentGate) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("unused", "l-moe");
  recipe.mixture.gate.net = spec::GateNet::kRecurrent;
  recipe.mixture.gate.hidden_size = 4;
  recipe.mixture.gate.init_range = 1.0;
  const Outcome kept = outcome_of(recipe, folder.path() / "kept");
  recipe.batch.gradient_checkpointing = true;
  const Outcome recomputed = outcome_of(recipe, folder.path() / "recomputed");
  ASSERT_EQ(recomputed.values.size(), kept.values.size());
  for (size_t i = 0; i < kept.values.size(); ++i)
    EXPECT_TRUE(at::allclose(recomputed.values[i], kept.values[i], 1e-3, 1e-5)) << i;
}

// The net runs in the lowest adapted layer, for all of them.
TEST(RecomputedLayers, LearnTheSameFromACausalGate) {
  const test::TempFolder folder;
  for (const bool keeps_prefix : {false, true}) {
    recipe::Recipe recipe = variant_recipe("unused", "l-moe");
    recipe.mixture.gate = {.source = spec::GateSource::kEmbedding,
                           .net = spec::GateNet::kCausal,
                           .share = spec::GateShare::kModel,
                           .hidden_size = 8,
                           .init_range = 1.0,
                           .heads = 2};
    if (keeps_prefix) recipe.mixture.layers_to_transform = {1};
    recipe.run.frozen_prefix_cache_mb = 0;
    recipe.batch.gradient_checkpointing = false;
    const std::string name = keeps_prefix ? "upper-" : "all-";
    const Outcome kept = outcome_of(recipe, folder.path() / (name + "kept"));
    recipe.run.frozen_prefix_cache_mb = keeps_prefix ? 1 : 0;
    recipe.batch.gradient_checkpointing = true;
    const Outcome recomputed = outcome_of(recipe, folder.path() / (name + "recomputed"));
    ASSERT_EQ(recomputed.values.size(), kept.values.size());
    for (size_t i = 0; i < kept.values.size(); ++i)
      EXPECT_TRUE(at::allclose(recomputed.values[i], kept.values[i], 1e-3, 1e-5)) << i;
  }
}

TEST(LayersToTransform, AreTheOnlyOnesAdaptedSavedAndLoaded) {
  const test::TempFolder folder;
  TinyRun run(variant_recipe(folder.path() / "run", "upper"));
  for (const std::string& path : run.mixture->target_paths())
    EXPECT_NE(path.find("layers.1."), std::string::npos) << path;
  run.start();
  const io::LoraFolder expert = io::read_peft_folder(folder.path() / "run" / "experts" / "expert0");
  EXPECT_THAT(expert.config.target_modules,
              ::testing::UnorderedElementsAreArray(run.mixture->target_paths()));
  run.mixture->unplug(run.decoder->sockets());
  const auto loaded = mixture::Mixture::load(folder.path() / "run", run.decoder->sockets());
  ASSERT_EQ(loaded->parameters().size(), run.values().size());
  for (size_t i = 0; i < loaded->parameters().size(); ++i)
    EXPECT_TRUE(at::equal(loaded->parameters()[i].tensor, run.values()[i]));
}

TEST(LayersToTransform, MustExist) {
  recipe::Recipe recipe = tiny_recipe("unused");
  recipe.mixture.layers_to_transform = {1, 2};
  try {
    const TinyRun run(recipe);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[attach] mixture.layers_to_transform: given 2, expected layers from 0 to 1");
  }
}

TEST(DocumentCaches, AreThereOnlyWhereTheyCanAct) {
  recipe::Recipe recipe = tiny_recipe("unused");
  const arch::ModelConfig config = test::tiny_config();
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, 0);
  recipe.mixture.target_modules = {"layers.1.self_attn.q_proj"};
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, int64_t{1024} << 20);
  recipe.mixture.plain.target_modules = {"up_proj"};
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, 0);
  recipe.mixture.layers_to_transform = {1};
  EXPECT_GT(cache_limits(recipe, config).frozen_prefix, 0);
  recipe.mixture.prompts.count = 2;
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, 0) << "prompts learn through all layers";
  recipe.mixture.prompts = {};
  recipe.batch.max_steps.reset();
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, 0);
  recipe.batch.num_epochs = 1.5;
  EXPECT_GT(cache_limits(recipe, config).frozen_prefix, 0);
  EXPECT_EQ(cache_limits(recipe, config).first_pass, 0);
  recipe.run.frozen_prefix_cache_mb = 0;
  EXPECT_EQ(cache_limits(recipe, config).frozen_prefix, 0);
  EXPECT_FALSE(cache_limits(recipe, config).keeps_frozen_prefix);
  recipe.run.document_cache_file_mb = 7;
  EXPECT_TRUE(cache_limits(recipe, config).keeps_frozen_prefix);
  EXPECT_FALSE(cache_limits(recipe, config).keeps_first_pass);
  EXPECT_EQ(cache_limits(recipe, config).file, 7 << 20);
  recipe.mixture.layers_to_transform = {0};
  EXPECT_EQ(cache_limits(recipe, config).file, 0);
}

/// Of the rows of two epochs, at one layer below the adapters.
void keep_twice(DocumentCaches& caches, TinyRun& run) {
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (int64_t row = 0; row < 40; ++row) {
      const std::vector<data::PackedRow> rows = {run.rows->next(), run.rows->next()};
      gather_gradients({.decoder = *run.decoder,
                        .mixture = *run.mixture,
                        .rows = rows,
                        .micro_batch_size = 2,
                        .first_pass_cache = caches.first_pass(),
                        .frozen_prefix_cache = caches.frozen_prefix()});
    }
  }
}

TEST(DocumentCaches, ShareAFileThatHasNoName) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe(folder.path(), "x-lora");
  recipe.mixture.layers_to_transform = {1};
  recipe.run.first_pass_cache_mb = recipe.run.frozen_prefix_cache_mb = 0;
  recipe.run.document_cache_file_mb = 32;
  TinyRun run(recipe);
  DocumentCaches caches(run.recipe, run.decoder->config());
  ASSERT_NE(caches.first_pass(), nullptr);
  ASSERT_NE(caches.frozen_prefix(), nullptr);
  keep_twice(caches, run);
  EXPECT_GT(caches.first_pass()->file_bytes(), 0);
  EXPECT_GT(caches.frozen_prefix()->file_bytes(), 0);
  EXPECT_FALSE(caches.frozen_prefix()->is_full());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing to remove, whatever happens";
}

TEST(DocumentCaches, TakeTheFolderThatIsGivenAndSayWhichIsMissing) {
  const test::TempFolder folder;
  recipe::Recipe recipe = variant_recipe("nowhere", "upper");
  recipe.run.document_cache_file_mb = 1;
  recipe.run.document_cache_dir = folder.path().string();
  EXPECT_NO_THROW(DocumentCaches(recipe, test::tiny_config()));
  recipe.run.document_cache_dir = (folder.path() / "missing").string();
  try {
    const DocumentCaches caches(recipe, test::tiny_config());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("cannot make a file in " + *recipe.run.document_cache_dir));
  }
}

}  // namespace
}  // namespace lmoe::train
