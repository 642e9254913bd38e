#include "cli/report_data.h"

#include <cstdio>
#include <functional>

#include "base/config_node.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/terminal.h"
#include "report/loss_svg.h"
#include "report/report.h"
#include "report/training_log.h"

namespace lmoe::cli {
namespace {

/// Gives what a file of the run holds to `use`; nothing when there is none. What is no JSON, or
/// lacks what `use` asks for, is an error that names the file.
void with_json(const fs::path& path, const std::function<void(const Json&)>& use) {
  if (!fs::exists(path)) return;
  const Json content = Json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  LMOE_CHECK_DATA(content.is_object(), "[report] ", path.string(),
                  " is damaged: given something else, expected a JSON object");
  try {
    use(content);
  } catch (const Json::exception& error) {
    fail(ErrorCode::kCorruptData, "[report] ", path.string(),
         " is not what lmoe writes: ", without_operation(error.what()));
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

void add_recipe(Json& data, const Json& config) {
  if (config.empty()) return;
  Json& facts = data["facts"];
  if (config.contains("base_model"))
    add_fact(facts, "base model", config.at("base_model").get<std::string>());
  if (config.contains("mixture")) {
    const Json& mixture = config.at("mixture");
    const Json& experts = mixture.at("experts");
    add_fact(facts, "method", mixture.at("method").get<std::string>());
    add_fact(facts, "experts",
             experts.at("count").dump() + " of rank " + experts.at("rank").dump());
  }
  data["recipe"] = yaml_from_json(config);
}

void add_log(Json& data, Json log) {
  data["log"] = std::move(log);
  if (data["log"].empty()) return;
  Json& facts = data["facts"];
  const Json& last = data["log"].back();
  const auto number = [&](const char* key) {
    return last.contains(key) && last[key].is_number() ? last[key].get<double>() : 0.0;
  };
  add_fact(facts, "steps", formatted("%.0f", number("step")));
  add_fact(facts, "tokens", formatted("%.0f", number("total_tokens")));
  add_fact(facts, "last loss", formatted("%.3f", number("loss")));
  add_fact(facts, "peak memory", bytes_text(number("peak_memory_bytes")));
}

void add_scores(Json& scores, const Json& task, const std::string& variant) {
  Json row = {{"task", task.at("task")},
              {"variant", variant},
              {"metric", task.at("metric")},
              {"score", task.at("score")},
              {"n", task.at("n")}};
  for (const char* key : {"ci_low", "ci_high"}) {
    if (task.contains(key) && task[key].is_number()) row[key] = task[key];
  }
  for (const char* key : {"source", "training_data"}) {
    if (task.contains(key)) row[key] = task[key];
  }
  scores.push_back(std::move(row));
}

void add_ablation(Json& ablation, const Json& task) {
  if (!task.contains("ablation") || task.at("ablation").is_null()) return;
  for (const Json& expert : task.at("ablation").at("experts")) {
    ablation.push_back({{"task", task.at("task")},
                        {"expert", expert.at("expert")},
                        {"change", expert.at("score_change")}});
  }
}

void add_samples(Json& samples, const Json& task, const std::string& variant) {
  if (!task.contains("samples")) return;
  for (const Json& sample : task.at("samples")) {
    Json row = {{"task", task.at("task")},
                {"prompt", sample.at("prompt")},
                {"expected", sample.at("expected")},
                {"variant", variant}};
    row["tokens"] = sample.at("tokens");
    samples.push_back(std::move(row));
  }
}

void add_prompts(Json& data, const Json& task) {
  if (!task.contains("prompts") || task.at("prompts").is_null()) return;
  const Json& usage = task.at("prompts");
  data["prompts"]["usage"].push_back({{"task", task.at("task")},
                                      {"records", usage.at("records")},
                                      {"share", usage.at("share")},
                                      {"nearest", usage.at("nearest")}});
}

/// eval.json holds one result per model; the run's own is the last.
void add_evaluation(Json& data, const Json& evaluation) {
  Json scores = Json::array(), ablation = Json::array(), samples = Json::array();
  for (const Json& result : evaluation.at("results")) {
    const std::string variant = result.at("model");
    const bool is_run = &result == &evaluation.at("results").back();
    for (const Json& task : result.at("tasks")) {
      add_scores(scores, task, variant);
      if (!is_run) continue;
      add_ablation(ablation, task);
      add_samples(samples, task, variant);
      add_prompts(data, task);
    }
    if (is_run) data["router"] = router_usage(result);
  }
  data["scores"] = std::move(scores);
  if (!ablation.empty()) data["ablation"] = std::move(ablation);
  if (!samples.empty()) data["samples"] = std::move(samples);
}

}  // namespace

/// One site of the report is one layer: the mean over the layer's gates.
Json router_usage(const Json& result) {
  Json router = Json::object();
  for (const Json& task : result.at("tasks")) {
    if (!task.contains("router") || task.at("router").is_null()) continue;
    Json sites = Json::array(), weights = Json::array();
    for (const Json& layer : task.at("router").at("layers")) {
      sites.push_back("layers." + layer.at("layer").dump());
      weights.push_back(layer.at("weights"));
    }
    router["expert_names"] = result.at("router").at("experts");
    router["sites"] = std::move(sites);
    router["usage"].push_back({{"task", task.at("task")}, {"weights", std::move(weights)}});
  }
  return router;
}

Json report_data(const fs::path& run) {
  Json data = {{"title", run.lexically_normal().string()}};
  data["facts"] = Json::array();
  with_json(run / "config_effective.json", [&](const Json& config) { add_recipe(data, config); });
  const fs::path log = run / "log.jsonl";
  add_log(data, fs::exists(log) ? report::log_from_jsonl(read_file(log)) : Json::array());
  data["router"] = Json::object();
  with_json(run / "eval.json", [&](const Json& evaluation) { add_evaluation(data, evaluation); });
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
