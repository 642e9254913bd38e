// `lmoe methods`: the list of methods; `lmoe methods NAME`: one, spelled out as a recipe.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/config_node.h"
#include "cli/torch_free_commands.h"
#include "spec/method_info.h"

namespace lmoe::cli {
namespace {

void print_list(bool names_only) {
  for (const spec::MethodInfo& method : spec::all_methods()) {
    if (names_only) {
      std::printf("%s\n", method.name);
    } else {
      std::printf("%-12s %s\n", method.name, method.summary);
    }
  }
}

void print_card(const spec::MethodInfo& method) {
  std::printf("# %s: %s\n# Defaults: %s\n", method.name, method.summary, method.reference);
  Json recipe = Json::object();
  recipe["mixture"] = spec::write_mixture(method.preset());
  std::printf("%s", yaml_from_json(recipe).c_str());
}

}  // namespace

int run_methods(const std::vector<std::string>& arguments) {
  CLI::App app{"Lists the methods, or prints one as the recipe section it stands for.",
               "lmoe methods"};
  app.footer(
      "examples:\n  lmoe methods\n  lmoe methods l-moe > my.yaml     # then change any part");
  std::string name;
  bool names_only = false;
  app.add_option("name", name, "a method");
  app.add_flag("--names", names_only, "names only, one per line");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;
  if (name.empty()) {
    print_list(names_only);
  } else {
    print_card(spec::find_method(name));
  }
  return 0;
}

}  // namespace lmoe::cli
