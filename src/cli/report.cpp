// `lmoe report`: writes a run's report.html again from what its folder holds.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "cli/report_data.h"
#include "cli/torch_free_commands.h"

namespace lmoe::cli {

int run_report(const std::vector<std::string>& arguments) {
  CLI::App app{"Writes the page of a run again: curves, router, scores, samples.", "lmoe report"};
  app.footer("examples:\n  lmoe report runs/l-moe");
  std::string run;
  app.add_option("run", run, "the run's folder")->required();
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished) {
    return outcome.exit_code;
  }
  if (!fs::exists(fs::path(run) / "log.jsonl")) {
    fail(ErrorCode::kNotFound, "[report] ", run,
         " is no run: given a path without log.jsonl, expected the output_dir of a run");
  }
  std::printf("report: %s\n", write_report(run).c_str());
  return 0;
}

}  // namespace lmoe::cli
