#include "cli/torch/select.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/torch/commands.h"

namespace lmoe::cli {

int run_select(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && (arguments[0] == "adapters" || arguments[0] == "data")) {
    const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    return arguments[0] == "data" ? run_select_data(rest) : run_select_adapters(rest);
  }
  CLI::App app{
      "Chooses what a mixture for a task begins with, when there are only a few samples of the "
      "task\n"
      "(k-shot, arXiv 2408.15915): out of finished adapters a few that are good at the samples "
      "and\n"
      "differ from each other, out of open data the records most like the samples.",
      "lmoe select"};
  app.footer(
      "More about each: lmoe select adapters --help, lmoe select data --help\n"
      "examples:\n"
      "  lmoe select data data/tasks/clinc150 data/tasks/snips --like data/tasks/scan#50 \\\n"
      "    --base smollm2-135m --count 1000 --out open.jsonl\n"
      "  lmoe select adapters adapters/a adapters/b adapters/c adapters/d adapters/e \\\n"
      "    --base smollm2-135m --data data/tasks/scan#50 --open open.jsonl --out k-shot.yaml");
  std::string what;
  app.add_option("what", what, "adapters or data")
      ->required()
      ->check(CLI::IsMember({"adapters", "data"}));
  return parse_arguments(app, arguments).exit_code;
}

}  // namespace lmoe::cli
