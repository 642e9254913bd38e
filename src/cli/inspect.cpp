// `lmoe inspect`: what is inside a model, an adapter, a run or a tensor file.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "cli/inspection.h"
#include "cli/torch_free_commands.h"

namespace lmoe::cli {

int run_inspect(const std::vector<std::string>& arguments) {
  CLI::App app{"Shows what is inside a base model, an adapter, a run or a tensor file.",
               "lmoe inspect"};
  app.footer(
      "examples:\n  lmoe inspect smollm2-135m\n  lmoe inspect "
      "runs/l-moe\n  lmoe inspect runs/l-moe/experts/expert0\n"
      "  lmoe inspect model.safetensors --tensors");
  std::string path;
  bool as_json = false, with_tensors = false;
  app.add_option("path", path, "file, folder or name of a base model")->required();
  app.add_flag("--tensors", with_tensors, "list every tensor");
  app.add_flag("--json", as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  const Json found = inspect(path, with_tensors || as_json);
  std::printf("%s", as_json ? (found.dump(2) + "\n").c_str() : inspection_text(found).c_str());
  return 0;
}

}  // namespace lmoe::cli
