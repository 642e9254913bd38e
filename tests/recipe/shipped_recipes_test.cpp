#include <gtest/gtest.h>

#include "base/files.h"
#include "recipe/recipe.h"

namespace lmoe::recipe {
namespace {

TEST(ShippedRecipes, ReadAndNameDataThatIsThere) {
  const fs::path root = LMOE_SOURCE_DIR;
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root / "recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().string());
    ReadReport report;
    const Recipe recipe = read_recipe(entry.path(), {}, report);
    EXPECT_EQ(fs::path(recipe.run.output_dir).begin()->string(), "runs");
    EXPECT_FALSE(recipe.data.datasets.empty());
    for (const auto& list : {recipe.data.datasets, recipe.eval_datasets})
      for (const data::DatasetOptions& dataset : list)
        EXPECT_TRUE(fs::exists(root / dataset.path / (dataset.split + ".jsonl"))) << dataset.path;
    ++count;
  }
  EXPECT_GE(count, 4);
}

}  // namespace
}  // namespace lmoe::recipe
