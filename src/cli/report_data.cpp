#include "cli/report_data.h"

#include <cstdio>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/terminal.h"
#include "report/loss_svg.h"
#include "report/report.h"
#include "report/training_log.h"

namespace lmoe::cli {
namespace {

Json read_json(const fs::path& path) {
  try {
    return Json::parse(read_file(path));
  } catch (const Json::exception& error) {
    fail(ErrorCode::kCorruptData, "[report] ", path.string(), " is no valid JSON: ", error.what());
  }
}

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void add_fact(Json& facts, const std::string& label, const std::string& value) {
  facts.push_back({{"label", label}, {"value", value}});
}

Json facts_of(const Json& config, const Json& log) {
  Json facts = Json::array();
  if (config.contains("base_model"))
    add_fact(facts, "base model", config["base_model"].get<std::string>());
  if (config.contains("mixture")) {
    const Json& experts = config["mixture"]["experts"];
    add_fact(facts, "method", config["mixture"]["method"].get<std::string>());
    add_fact(facts, "experts", experts["count"].dump() + " of rank " + experts["rank"].dump());
  }
  if (log.empty()) return facts;
  const Json& last = log.back();
  const auto number = [&](const char* key) {
    return last.contains(key) && last[key].is_number() ? last[key].get<double>() : 0.0;
  };
  add_fact(facts, "steps", formatted("%.0f", number("step")));
  add_fact(facts, "tokens", formatted("%.0f", number("total_tokens")));
  add_fact(facts, "last loss", formatted("%.3f", number("loss")));
  add_fact(facts, "peak memory", bytes_text(number("peak_memory_bytes")));
  return facts;
}

void add_scores(Json& scores, const Json& task, const std::string& variant) {
  Json row = {{"task", task["task"]},
              {"variant", variant},
              {"metric", task["metric"]},
              {"score", task["score"]},
              {"n", task["n"]}};
  for (const char* key : {"ci_low", "ci_high"}) {
    if (task.contains(key) && task[key].is_number()) row[key] = task[key];
  }
  scores.push_back(std::move(row));
}

/// One site of the report is one layer: the mean over the layer's gates.
void add_usage(Json& router, const Json& result, const Json& task) {
  if (!task.contains("router") || task["router"].is_null()) return;
  Json sites = Json::array(), weights = Json::array();
  for (const Json& layer : task["router"]["layers"]) {
    sites.push_back("layers." + layer["layer"].dump());
    weights.push_back(layer["weights"]);
  }
  router["expert_names"] = result["router"]["experts"];
  router["sites"] = std::move(sites);
  router["usage"].push_back({{"task", task["task"]}, {"weights", std::move(weights)}});
}

void add_ablation(Json& ablation, const Json& task) {
  if (!task.contains("ablation") || task["ablation"].is_null()) return;
  for (const Json& expert : task["ablation"]["experts"]) {
    ablation.push_back(
        {{"task", task["task"]}, {"expert", expert["expert"]}, {"change", expert["score_change"]}});
  }
}

void add_samples(Json& samples, const Json& task, const std::string& variant) {
  if (!task.contains("samples")) return;
  for (const Json& sample : task["samples"]) {
    Json row = {{"task", task["task"]},
                {"prompt", sample["prompt"]},
                {"expected", sample["expected"]},
                {"variant", variant}};
    row["tokens"] = sample["tokens"];
    samples.push_back(std::move(row));
  }
}

/// eval.json holds one result per model; the run's own is the last.
void add_evaluation(Json& data, const Json& evaluation) {
  Json scores = Json::array(), ablation = Json::array(), samples = Json::array();
  for (const Json& result : evaluation["results"]) {
    const std::string variant = result["model"];
    const bool is_run = &result == &evaluation["results"].back();
    for (const Json& task : result["tasks"]) {
      add_scores(scores, task, variant);
      if (!is_run) continue;
      add_usage(data["router"], result, task);
      add_ablation(ablation, task);
      add_samples(samples, task, variant);
    }
  }
  data["scores"] = std::move(scores);
  if (!ablation.empty()) data["ablation"] = std::move(ablation);
  if (!samples.empty()) data["samples"] = std::move(samples);
}

}  // namespace

Json report_data(const fs::path& run) {
  Json data = {{"title", run.lexically_normal().string()}};
  Json config = Json::object(), log = Json::array();
  if (fs::exists(run / "config_effective.json")) config = read_json(run / "config_effective.json");
  if (fs::exists(run / "log.jsonl")) log = report::log_from_jsonl(read_file(run / "log.jsonl"));
  data["facts"] = facts_of(config, log);
  data["log"] = std::move(log);
  data["router"] = Json::object();
  if (fs::exists(run / "eval.json")) add_evaluation(data, read_json(run / "eval.json"));
  if (!config.empty()) data["recipe"] = yaml_from_json(config);
  return data;
}

fs::path write_report(const fs::path& run) {
  fs::path path = run / "report.html";
  const Json data = report_data(run);
  write_file_atomically(path, report::render_report(data));
  write_file_atomically(run / "loss.svg", report::loss_svg(data["log"]));
  return path;
}

}  // namespace lmoe::cli
