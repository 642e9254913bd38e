#include "cli/compare/run_facts.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "report/training_log.h"

namespace lmoe::cli {
namespace {

constexpr size_t kAllEntries = 1'000'000;

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Json read_log(const fs::path& run) {
  if (!fs::exists(run / "log.jsonl")) return Json::array();
  return report::log_from_jsonl(read_file(run / "log.jsonl"), kAllEntries);
}

double number(const Json& entry, const char* key) {
  return entry.contains(key) && entry[key].is_number() ? entry[key].get<double>() : 0.0;
}

}  // namespace

bool is_trained(const fs::path& run) {
  if (!fs::exists(run / io::kManifestName)) return false;
  const Json log = read_log(run);
  return !log.empty() && log.back().contains("total_steps") &&
         log.back()["step"] == log.back()["total_steps"];
}

bool is_scored(const fs::path& run) {
  return is_trained(run) && fs::exists(run / "eval.json") &&
         fs::last_write_time(run / "eval.json") >= fs::last_write_time(run / io::kManifestName);
}

std::optional<RunFacts> read_run_facts(const fs::path& run) {
  if (!is_trained(run)) return {};
  const Json log = read_log(run);
  RunFacts facts;
  std::vector<double> speeds;
  for (const Json& entry : log) {
    if (entry.contains("eval_loss") && entry["eval_loss"].is_number())
      facts.validation_loss = entry["eval_loss"].get<double>();
    facts.peak_memory_bytes = std::max(facts.peak_memory_bytes, number(entry, "peak_memory_bytes"));
    const bool warms_up = &entry == &log.front() && log.size() > 1;
    if (!warms_up && number(entry, "tokens_per_second") > 0)
      speeds.push_back(number(entry, "tokens_per_second"));
  }
  facts.tokens = static_cast<int64_t>(number(log.back(), "total_tokens"));
  facts.tokens_per_second = median(speeds);
  if (facts.tokens_per_second > 0)
    facts.seconds_per_step =
        static_cast<double>(facts.tokens) / number(log.back(), "step") / facts.tokens_per_second;
  if (is_scored(run)) {
    const fs::path path = run / "eval.json";
    const Json json = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
    LMOE_CHECK_DATA(json.is_object() && json.contains("results") && !json["results"].empty(),
                    "[compare] ", path.string(), " is no result of lmoe eval");
    facts.evaluation = json["results"].back();
  }
  return facts;
}

}  // namespace lmoe::cli
