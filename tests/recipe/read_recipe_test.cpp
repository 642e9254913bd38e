#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/recipe_text.h"

namespace lmoe::recipe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ReadRecipe, ReadsKeysOfEverySection) {
  const Recipe recipe = read_text(
      "base_model: m\nsequence_len: 128\nmicro_batch_size: 2\nlearning_rate: 1e-3\n"
      "save_steps: 7\ndatasets: [{path: d, weight: 2}]\nmixture: {num_experts: 3}\n");
  EXPECT_EQ(recipe.base_model, "m");
  EXPECT_EQ(recipe.data.sequence_len, 128);
  EXPECT_EQ(recipe.batch.micro_batch_size, 2);
  EXPECT_EQ(recipe.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(recipe.run.save_steps, 7);
  EXPECT_EQ(recipe.data.datasets.at(0).weight, 2);
  EXPECT_EQ(recipe.mixture.experts.count, 3);
}

TEST(ReadRecipe, AliasesOfOtherToolsAreNoted) {
  EXPECT_THAT(notes_of("lr: 1e-4\ncutoff_len: 64\nper_device_train_batch_size: 1\n"),
              ::testing::UnorderedElementsAre(
                  "\"lr\" read as \"learning_rate\"", "\"cutoff_len\" read as \"sequence_len\"",
                  "\"per_device_train_batch_size\" read as \"micro_batch_size\""));
}

TEST(ReadRecipe, RefusesUnknownKeysWithLineAndSection) {
  EXPECT_THAT(message_of("base_model: m\nlearing_rate: 1\n"),
              HasSubstr("r.yaml:2: unknown key \"learing_rate\"; nearest is \"learning_rate\" "
                        "(section optimizer)"));
  EXPECT_THAT(message_of("num-epochs: 2\n"),
              HasSubstr("unknown key \"num-epochs\"; nearest is \"num_epochs\""));
  EXPECT_THAT(message_of("zzz: 1\n"), HasSubstr("\"zzz\"; hint: `lmoe schema` lists all keys"));
  EXPECT_THAT(message_of("mixture:\n  zzz: 1\n"), HasSubstr("; hint: `lmoe schema`"));
  EXPECT_THAT(message_of("mixture: {num_expert: 2}\n"), HasSubstr("mixture.num_experts"));
  EXPECT_THAT(message_of("[1, 2]\n"), HasSubstr("a recipe is a mapping of keys"));
}

TEST(ReadRecipe, OverridesWinUnderAnySpelling) {
  EXPECT_EQ(read_text("lr: 1e-4\n", {"learning_rate=2e-4"}).optimizer.learning_rate, 2e-4);
  EXPECT_EQ(read_text("learning_rate: 1e-4\n", {"lr=2e-4"}).optimizer.learning_rate, 2e-4);
  EXPECT_EQ(read_text("", {"num-epochs=3"}).batch.num_epochs, 3);
  const Recipe steps = read_text("warmup_ratio: 0.1\n", {"warmup_steps=5"});
  EXPECT_EQ(steps.optimizer.warmup_steps, 5);
  EXPECT_FALSE(steps.optimizer.warmup_ratio);
}

TEST(ReadRecipe, OverridesWinInsideTheMixture) {
  EXPECT_EQ(read_text("mixture: {experts: {count: 4}}\n", {"mixture.num_experts=6"})
                .mixture.experts.count,
            6);
  EXPECT_EQ(
      read_text("mixture: {num_experts: 4}\n", {"mixture.experts.count=6"}).mixture.experts.count,
      6);
  EXPECT_EQ(read_text("mixture: {num_experts: 4}\n", {"mixture.num_local_experts=6"})
                .mixture.experts.count,
            6);
  EXPECT_EQ(read_text("mixture: {num_local_experts: 4}\n", {"mixture.num_experts=6"})
                .mixture.experts.count,
            6);
}

TEST(ReadRecipe, FillsInWhatFollows) {
  const Recipe recipe = read_text("");
  EXPECT_EQ(fs::path(recipe.run.output_dir), fs::path("runs/r"));
  EXPECT_EQ(recipe.mixture.method, "l-moe");
  EXPECT_EQ(recipe.batch.batch_size, 4);
  EXPECT_EQ(read_text("max_samples: 9\ndatasets: [a, b#5, {path: c, max_samples: 2}]\n")
                .data.datasets.at(0)
                .max_samples,
            9);
}

TEST(ReadRecipe, EffectiveConfigReadsBackToItself) {
  const Recipe recipe = read_text(
      "adapter: lora\nlora_r: 4\nbatch_size: 8\nmicro_batch_size: 2\nwarmup_steps: 3\n"
      "eval_steps: 5\ndtype: float32\ndatasets: [{path: d}]\nmax_samples: 7\n");
  const Json config = effective_config(recipe);
  EXPECT_EQ(config.at("gradient_accumulation_steps"), 4);
  EXPECT_EQ(config.at("bf16"), "false");
  EXPECT_EQ(config.at("mixture").at("experts").at("rank"), 4);
  const Recipe again = read_text(yaml_from_json(config));
  EXPECT_EQ(effective_config(again), config);
}

TEST(ReadRecipe, SchemaNamesEveryKeyOnce) {
  std::map<std::string, int> seen;
  for (const FieldInfo& info : recipe_schema()) {
    ++seen[info.name];
    for (const std::string& alias : info.aliases) ++seen[alias];
    EXPECT_FALSE(info.help.empty()) << info.name;
    EXPECT_FALSE(info.section.empty()) << info.name;
  }
  for (const auto& [name, count] : seen) EXPECT_EQ(count, 1) << name;
  for (const char* key : {"base_model", "lora_r", "adapter", "datasets", "val_set_size",
                          "sequence_len", "micro_batch_size", "learning_rate", "warmup_ratio",
                          "output_dir", "save_steps", "mixture", "tasks", "eval_datasets"})
    EXPECT_EQ(seen[key], 1) << key;
}

TEST(ReadRecipe, MissingFile) {
  ReadReport report;
  EXPECT_THROW(read_recipe("/nowhere/r.yaml", {}, report), Error);
}

}  // namespace
}  // namespace lmoe::recipe
