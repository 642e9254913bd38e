#include "base/error.h"
#include "recipe/cross_checks.h"
#include "recipe/foreign_keys.h"
#include "recipe/given_keys.h"
#include "recipe/lora_keys.h"
#include "recipe/recipe_file.h"

namespace lmoe::recipe {
namespace {

ConfigNode read_tree(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  ConfigNode tree;
  if (!path.empty()) tree = read_config_file(path);
  if (tree.is_null()) {
    tree.kind = ConfigNode::Kind::kMap;
    tree.where = {path.empty() ? "command line" : path.string(), 0};
  }
  LMOE_CHECK_ARG(tree.is_map(), "[config] ", tree.where.text(),
                 ": a recipe is a mapping of keys; given ", tree.is_list() ? "a list" : "text");
  for (const std::string& assignment : overrides) set_override(tree, assignment);
  return tree;
}

/// Keys are refused by readers that other things use too; that `lmoe schema` lists a recipe's is
/// known here.
[[noreturn]] void refuse(const Error& error) {
  const bool is_key = std::string_view(error.what()).find(": unknown key ") != std::string::npos;
  fail(error.code(), error.what(), is_key ? "; hint: `lmoe schema` lists all keys" : "");
}

void read_sections(const ConfigNode& tree, Recipe& recipe, ReadReport& report) {
  const ConfigNode section = mixture_section(tree, report);
  RecipeFile file;
  ConfigNode flat = tree;
  flat.erase("mixture");
  OptionReader(report).read(flat, file);
  recipe = std::move(file.recipe);
  recipe.mixture = spec::read_mixture(section, report);
}

}  // namespace

Recipe read_recipe(const std::filesystem::path& path,
                   const std::vector<std::string>& overrides,
                   ReadReport& report) {
  ConfigNode tree = read_tree(path, overrides);
  let_command_line_win(tree);
  refuse_foreign_keys(tree);
  rewrite_foreign_keys(tree, report);
  rewrite_targets(tree);
  Recipe recipe;
  try {
    read_sections(tree, recipe, report);
  } catch (const Error& error) {
    refuse(error);
  }
  settle(tree, recipe);
  if (recipe.run.output_dir.empty())
    recipe.run.output_dir =
        (std::filesystem::path("runs") / (path.empty() ? "run" : path.stem())).string();
  return recipe;
}

Json effective_config(const Recipe& recipe) { return write_options(recipe); }

std::vector<FieldInfo> recipe_schema() { return describe_options<RecipeFile>(); }

}  // namespace lmoe::recipe
