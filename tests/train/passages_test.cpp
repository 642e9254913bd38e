// Training on documents with passages: an adapter for each of two instructions that do not see each
// other, and an answer that sees both (Omni-Effects' text-only demonstration).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mixture/site_bank.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

/// Two tokens of a beginning, three that count up from a, three from b, and the answer: a + 3, then
/// b + 3.
data::EncodedDataset two_instructions(int64_t examples = 60, uint64_t seed = 3) {
  data::EncodedDataset dataset;
  dataset.name = "instructions";
  Rng rng(seed);
  for (int64_t n = 0; n < examples; ++n) {
    data::Example example;
    example.line = n + 1;
    const auto a = static_cast<int32_t>(rng.below(6)), b = static_cast<int32_t>(rng.below(6));
    example.append({49, 48}, false);
    example.append({a, a + 1, a + 2}, false, 1);
    example.append({b, b + 1, b + 2}, false, 2);
    example.append({47}, false);
    example.append({a + 3, b + 3}, true);
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

recipe::Recipe own_adapters(const fs::path& output_dir) {
  recipe::Recipe recipe = tiny_recipe(output_dir);
  recipe.mixture.experts.count = 2;
  recipe.mixture.losses.clear();
  recipe.mixture.select.private_experts = 1;
  recipe.mixture.select.private_by = spec::PrivateBy::kPassage;
  recipe.mixture.select.groups = 2;
  return recipe;
}

TEST(TrainingWithPassages, BothAdaptersLearnAndTheLossFalls) {
  const test::TempFolder folder;
  recipe::Recipe recipe = own_adapters(folder.path() / "run");
  recipe.batch.max_steps = 80;
  recipe.optimizer.learning_rate = 2e-2;
  TinyRun run(recipe, {two_instructions()});
  const std::vector<at::Tensor> before = run.values();
  double first = 0.0;
  TrainCallbacks callbacks;
  callbacks.on_event = [&](const TrainEvent& event) {
    if (event.kind == TrainEvent::Kind::kStep && event.report.step == 1) first = event.report.loss;
  };
  const TrainResult result = run.start(callbacks);
  EXPECT_LT(result.loss, 0.8 * first);
  int64_t banks = 0;
  for (const auto& bank : run.mixture->banks()) {
    // Of the last layer, answers read no more than keys and values of passages.
    if (!bank->bank().targets().front().site.starts_with("layers.0.")) continue;
    ++banks;
    for (const int64_t expert : {0, 1})
      EXPECT_GT(bank->bank().folder_factors(0, expert).b.abs().max().item<double>(), 0.0);
  }
  EXPECT_GT(banks, 0);
}

TEST(TrainingWithPassages, RecomputedAndKeptLayersGiveTheSameBits) {
  const test::TempFolder folder;
  const auto values_of = [&](const char* name, const std::function<void(recipe::Recipe&)>& change) {
    recipe::Recipe recipe = own_adapters(folder.path() / name);
    recipe.mixture.layers_to_transform = {1};
    change(recipe);
    TinyRun run(recipe, {two_instructions()});
    run.start();
    return run.values();
  };
  const auto expected = values_of("plain", [](recipe::Recipe&) {});
  EXPECT_TRUE(same_bits(expected, values_of("recomputed", [](recipe::Recipe& recipe) {
                          recipe.batch.gradient_checkpointing = true;
                        })));
  EXPECT_TRUE(same_bits(expected, values_of("uncached", [](recipe::Recipe& recipe) {
                          recipe.run.frozen_prefix_cache_mb = 0;
                        })));
  // The same tokens without passages are other documents.
  data::EncodedDataset plain = two_instructions();
  for (data::Example& example : plain.examples) example.passages.clear();
  recipe::Recipe recipe = own_adapters(folder.path() / "none");
  recipe.mixture.layers_to_transform = {1};
  TinyRun run(recipe, {plain});
  run.start();
  EXPECT_FALSE(same_bits(expected, run.values()));
}

}  // namespace
}  // namespace lmoe::train
