// `lmoe examples`: the ready recipes; `lmoe examples NAME`: prints one, to be redirected into a
// file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "cli/known_names.h"
#include "cli/torch_free_commands.h"

namespace lmoe::cli {
namespace {

/// Recipes lie in `recipes/` beside the program's folder (a build) or where LMOE_RECIPES points.
fs::path recipes_folder() {
  if (const char* given = std::getenv("LMOE_RECIPES")) return given;
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (int level = 0; level < 3 && folder.has_parent_path();
       ++level, folder = folder.parent_path()) {
    if (fs::is_directory(folder / "recipes", error)) return folder / "recipes";
  }
  fail(ErrorCode::kNotFound, "[examples] cannot find the folder recipes/; hint: set LMOE_RECIPES");
}

std::map<std::string, fs::path> find_recipes(const fs::path& folder) {
  std::map<std::string, fs::path> recipes;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    recipes[fs::relative(entry.path(), folder).replace_extension().string()] = entry.path();
  }
  return recipes;
}

/// The first comment line of a recipe says what it is.
std::string summary_of(const fs::path& path) {
  const std::string text = read_file(path);
  if (text.rfind("# ", 0) != 0) return {};
  return text.substr(2, text.find('\n') - 2);
}

}  // namespace

int run_examples(const std::vector<std::string>& arguments) {
  CLI::App app{"Lists ready recipes, or prints one.", "lmoe examples"};
  app.footer("examples:\n  lmoe examples\n  lmoe examples l-moe > my-recipe.yaml");
  std::string name;
  app.add_option("name", name, "a recipe");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  const std::map<std::string, fs::path> recipes = find_recipes(recipes_folder());
  if (name.empty()) {
    for (const auto& [key, path] : recipes)
      std::printf("%-18s %s\n", key.c_str(), summary_of(path).c_str());
    return 0;
  }
  const auto found = recipes.find(name);
  if (found == recipes.end()) {
    std::vector<std::string> names;
    for (const auto& [key, path] : recipes) names.push_back(key);
    fail(ErrorCode::kNotFound, "[examples] unknown recipe: given \"", name, "\", expected one of ",
         one_of(name, names));
  }
  std::fputs(read_file(found->second).c_str(), stdout);
  return 0;
}

}  // namespace lmoe::cli
