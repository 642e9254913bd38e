// `lmoe extract`: a LoRA out of a model that was trained as a whole.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "cli/torch/commands.h"
#include "eval/table.h"
#include "runner/extract_adapter.h"

namespace lmoe::cli {
namespace {

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream text(list);
  for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
  return parts;
}

Json json_of(const runner::ExtractReport& report) {
  Json json = {{"matrices", Json::array()}, {"left_out", report.left_out}};
  for (const runner::ExtractedMatrix& matrix : report.matrices)
    json["matrices"].push_back(
        {{"module", matrix.module}, {"norm", matrix.norm}, {"error", matrix.error}});
  return json;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string table_of(const runner::ExtractReport& report) {
  std::vector<std::vector<std::string>> rows = {{"matrix", "|difference|", "|left|", "share"}};
  for (const runner::ExtractedMatrix& matrix : report.matrices)
    rows.push_back({matrix.module, number(matrix.norm), number(matrix.error),
                    matrix.norm > 0 ? number(matrix.error / matrix.norm) : "-"});
  return eval::align_columns(rows);
}

void warn_of_left_out(const runner::ExtractReport& report) {
  if (report.left_out.empty()) return;
  std::fprintf(stderr,
               "note: the models also differ in %zu other tensors, which the adapter leaves out; "
               "the first is %s\n",
               report.left_out.size(), report.left_out.front().c_str());
}

}  // namespace

int run_extract(const std::vector<std::string>& arguments) {
  CLI::App app{
      "Writes the difference between a model that was trained as a whole and its base as a LoRA: "
      "by\n"
      "the singular value decomposition of each matrix, so no other LoRA of the rank is closer.",
      "lmoe extract"};
  app.footer(
      "examples:\n"
      "  lmoe extract --base smollm2-135m --tuned models/math --rank 64 --output adapters/math\n"
      "  lmoe extract --base smollm2-135m --tuned models/chat --rank 8 --projections q,v -o chat\n"
      "The folder is an adapter for PEFT, and an expert: mixture.adapters={math: adapters/math}.");
  std::string base_name, tuned_name, output, projections = "gate,up,down";
  runner::ExtractOptions options;
  bool as_json = false;
  app.add_option("--base", base_name, "the model it was trained from")->required();
  app.add_option("--tuned", tuned_name, "the trained model")->required();
  app.add_option("--rank", options.rank, "rank of every matrix")->required();
  app.add_option("--projections", projections, "out of q,k,v,o,gate,up,down; default gate,up,down");
  app.add_option("-o,--output", output, "the folder to make")->required();
  app.add_flag("--json", as_json, "machine-readable");
  if (const ParseOutcome outcome = parse_arguments(app, arguments); outcome.finished)
    return outcome.exit_code;

  LMOE_CHECK_ARG(!fs::exists(output), "[extract] ", output, " is there already; hint: another -o");
  options.projections = parts_of(projections);
  const auto base = arch::open_base_model(base_name);
  const auto tuned = arch::open_base_model(tuned_name);
  Progress progress("decomposing");
  options.on_progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  const runner::ExtractReport report = extract_adapter(*base, *tuned, options, output);
  progress.finish();
  warn_of_left_out(report);
  std::printf("%s", (as_json ? json_of(report).dump() + "\n" : table_of(report)).c_str());
  std::fprintf(as_json ? stderr : stdout, "adapter: %s\n", output.c_str());
  return 0;
}

}  // namespace lmoe::cli
