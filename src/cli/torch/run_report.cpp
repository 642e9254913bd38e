#include "cli/torch/run_report.h"

#include <cstdio>

#include "base/files.h"
#include "base/log.h"
#include "cli/report_data.h"
#include "cli/torch/eval_data.h"
#include "eval/evaluate.h"
#include "runner/torch_step_model.h"

namespace lmoe::cli {
namespace {

/// Where an eval.json says that it is only a first look, which a later one may replace.
constexpr const char* kFirstLook = "first_look";

bool holds_fuller_results(const fs::path& path) {
  if (!fs::exists(path)) return false;
  const Json json = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  return !json.is_object() || !json.contains(kFirstLook);
}

}  // namespace

void write_run_report(const fs::path& run, const DataSetup& data, ModelSetup& model) {
  const fs::path path = run / "eval.json";
  if (data.first_look.empty()) return;
  if (holds_fuller_results(path)) {
    log().warn("{} is kept as it is, also if it is of an earlier state; `lmoe eval {}` scores anew",
               path.string(), run.string());
    return;
  }
  runner::TorchStepModel steps(*model.decoder, model.mixture.get(), model.reward_head.get());
  EvalProgressView view("a first look at a few records");
  eval::EvalOptions options;
  options.ablation_records = 0;
  const eval::EvalResult result = eval::evaluate(steps, *data.base->tokenizer, data.first_look,
                                                 options, view.hooks(), run.filename().string());
  Json evaluation = {{kFirstLook, true}, {"results", Json::array()}};
  evaluation["results"].push_back(eval::result_json(result));
  write_file_atomically(path, evaluation.dump(1) + "\n");
  std::printf("%s", eval::result_table(result).c_str());
  std::printf("report: %s\n", write_report(run).c_str());
}

}  // namespace lmoe::cli
