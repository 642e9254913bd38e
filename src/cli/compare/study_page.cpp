#include "cli/compare/study_page.h"

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/config_node.h"
#include "base/error.h"
#include "cli/terminal.h"
#include "report/report.h"

namespace lmoe::cli {
namespace {

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

bool is_share(const Json& task) { return task["metric"] != "perplexity"; }

std::string score_text(const Json& task, const char* key) {
  const double value = task[key].get<double>();
  return is_share(task) ? formatted("%.1f", 100 * value) : formatted("%.3g", value);
}

/// "62.0 (52.0–71.0)", with the seeds' own scores where there are several.
std::string cell(const Json& task) {
  std::string text = score_text(task, "score");
  if (task["ci_low"].is_number())
    text += " (" + score_text(task, "ci_low") + "–" + score_text(task, "ci_high") + ")";
  if (task["seeds"].size() < 2) return text;
  text += " seeds";
  for (const Json& seed : task["seeds"])
    text += " " + score_text({{"metric", task["metric"]}, {"score", seed}}, "score");
  return text;
}

using Row = std::vector<std::string>;

std::string markdown(const std::vector<Row>& rows) {
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (const std::string& column : rows[r]) text += "| " + column + " ";
    text += "|\n";
    if (r > 0) continue;
    for (size_t c = 0; c < rows[r].size(); ++c) text += c == 0 ? "|---" : "|---:";
    text += "|\n";
  }
  return text;
}

/// The tasks of the first method that has scores; all methods have the same.
Json tasks_of(const Json& study) {
  for (const Json& method : study["methods"])
    if (method.contains("tasks") && !method["tasks"].empty()) return method["tasks"];
  return Json::array();
}

Row row_of(const Json& method, const Json& tasks) {
  Row row = {method["method"].get<std::string>(),
             method["experts"].dump() + " × " + method["rank"].dump(),
             method["trained_parameters"].dump(),
             formatted("%+.1f %%", 100 * method["difference"].get<double>())};
  const bool is_chosen = method["learning_rate"].is_number();
  row.push_back(is_chosen ? formatted("%.3g", method["learning_rate"].get<double>()) : "–");
  for (size_t t = 0; t < tasks.size(); ++t) {
    const bool has_task = is_chosen && t < method["tasks"].size();
    row.push_back(has_task ? cell(method["tasks"][t]) : "–");
  }
  row.push_back(is_chosen ? formatted("%.3g", method["seconds_per_step"].get<double>()) : "–");
  row.push_back(is_chosen ? bytes_text(method["peak_memory_bytes"].get<double>()) : "–");
  return row;
}

/// How far a method may be from the wanted number of parameters without a remark.
constexpr double kSizeTolerance = 0.1;

std::vector<std::string> remarks(const Json& study) {
  std::vector<std::string> lines = {concat(
      "Learning rates are chosen by ", study["chosen_by"].get<std::string>(),
      study["chosen_by"] == "validation loss"
          ? "; intervals (95 %) are over test records."
          : ", on the very records that are scored, which flatters every method; val_set_size "
            "in the recipe avoids that. Intervals (95 %) are over test records.")};
  std::vector<Json> tokens;
  for (const Json& method : study["methods"]) {
    const double difference = method["difference"].get<double>();
    if (std::abs(difference) > kSizeTolerance)
      lines.push_back(concat(method["method"].get<std::string>(), " is ",
                             formatted("%+.0f %%", 100 * difference),
                             " off the wanted size: its rank is a whole number. Larger "
                             "`parameters` come nearer."));
    if (!method["learning_rate"].is_number()) {
      lines.push_back(concat(method["method"].get<std::string>(),
                             " has no learning rate of which all runs are finished."));
      continue;
    }
    tokens.push_back(method["tokens"]);
    if (method["at_edge"].get<bool>())
      lines.push_back(concat("The best rate of ", method["method"].get<std::string>(),
                             " is at the edge of those tried."));
    if (tokens.back() != tokens.front())
      lines.push_back(concat(method["method"].get<std::string>(), " saw ", tokens.back().dump(),
                             " tokens, the first method ", tokens.front().dump(), "."));
  }
  for (const Json& failure : study["failures"])
    lines.push_back(concat("Failed: ", failure["run"].get<std::string>(), ": ",
                           failure["error"].get<std::string>()));
  return lines;
}

Json scores_of(const Json& study) {
  Json scores = Json::array();
  for (const Json& method : study["methods"]) {
    if (!method.contains("tasks")) continue;
    for (const Json& task : method["tasks"]) {
      Json row = {{"variant", method["method"]}};
      for (const char* key : {"task", "metric", "score", "n", "ci_low", "ci_high"})
        if (!task[key].is_null()) row[key] = task[key];
      scores.push_back(std::move(row));
    }
  }
  return scores;
}

}  // namespace

std::string study_markdown(const Json& study) {
  const Json tasks = tasks_of(study);
  std::vector<Row> rows = {{"method", "experts × rank", "trained parameters", "difference", "lr"}};
  for (const Json& task : tasks) rows[0].push_back(task["task"].get<std::string>());
  rows[0].insert(rows[0].end(), {"s/step", "peak memory"});
  for (const Json& method : study["methods"]) rows.push_back(row_of(method, tasks));
  std::string text = markdown(rows) + "\n";
  for (const std::string& line : remarks(study)) text += "- " + line + "\n";
  return text;
}

std::string study_page(const Json& study, const Json& recipe) {
  std::string subtitle;
  for (const std::string& line : remarks(study)) subtitle += (subtitle.empty() ? "" : " ") + line;
  Json facts = Json::array();
  facts.push_back({{"label", "base model"}, {"value", recipe["base_model"]}});
  facts.push_back({{"label", "trained parameters"},
                   {"value", formatted("%.2f M", study["parameters"].get<double>() / 1e6)},
                   {"note", "what every method comes near to"}});
  for (const Json& method : study["methods"]) {
    if (!method.contains("tokens")) continue;
    facts.push_back({{"label", "tokens per run"}, {"value", method["tokens"].dump()}});
    break;
  }
  return report::render_report({{"title", "Comparison: " + study["recipe"].get<std::string>()},
                                {"subtitle", subtitle},
                                {"facts", std::move(facts)},
                                {"scores", scores_of(study)},
                                {"comparison", study},
                                {"recipe", yaml_from_json(recipe)}});
}

}  // namespace lmoe::cli
