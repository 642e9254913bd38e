#include <gtest/gtest.h>

#include <set>

#include "base/files.h"
#include "data/split_slice.h"
#include "recipe/recipe.h"
#include "spec/method_info.h"

namespace lmoe::recipe {
namespace {

TEST(ShippedRecipes, ReadAndNameDataThatIsThere) {
  const fs::path root = LMOE_SOURCE_DIR;
  std::set<std::string> methods;
  for (const auto& entry : fs::recursive_directory_iterator(root / "recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().string());
    ReadReport report;
    const Recipe recipe = read_recipe(entry.path(), {}, report);
    EXPECT_EQ(fs::path(recipe.run.output_dir).begin()->string(), "runs");
    EXPECT_FALSE(recipe.data.datasets.empty());
    for (const auto& list : {recipe.data.datasets, recipe.eval_datasets})
      for (const data::DatasetOptions& dataset : list)
        EXPECT_TRUE(
            fs::exists(root / dataset.path / (data::parse_split(dataset.split).split + ".jsonl")))
            << dataset.path;
    methods.insert(recipe.mixture.method);
  }
  for (const spec::MethodInfo& method : spec::all_methods())
    EXPECT_TRUE(methods.count(method.name)) << "no recipe for " << method.name;
}

}  // namespace
}  // namespace lmoe::recipe
