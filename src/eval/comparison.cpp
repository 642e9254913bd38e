#include "eval/result.h"
#include "eval/table.h"

namespace lmoe::eval {
namespace {

void check_same_tasks(const EvalResult& first, const EvalResult& other) {
  LMOE_CHECK_ARG(first.tasks.size() == other.tasks.size(), "[eval] ", first.model, " and ",
                 other.model, " were evaluated on different tasks: given ", first.tasks.size(),
                 " and ", other.tasks.size());
  for (size_t t = 0; t < first.tasks.size(); ++t) {
    const TaskResult& a = first.tasks[t];
    const TaskResult& b = other.tasks[t];
    LMOE_CHECK_ARG(a.task == b.task && a.metric == b.metric && a.n == b.n, "[eval] ", first.model,
                   " and ", other.model, " were evaluated differently: given ", a.task, " (",
                   enum_name(a.metric), ", ", a.n, " records) and ", b.task, " (",
                   enum_name(b.metric), ", ", b.n, " records)");
  }
}

bool is_clear(const Comparison& comparison) {
  if (comparison.p_value) return *comparison.p_value < 0.05;
  return comparison.interval.low > 0.0 || comparison.interval.high < 0.0;
}

Comparison compare_tasks(const TaskResult& first,
                         const TaskResult& second,
                         const EvalOptions& options) {
  return compare(first.metric, first.outcomes, second.outcomes, options);
}

}  // namespace

std::string comparison_table(const std::vector<EvalResult>& results, const EvalOptions& options) {
  LMOE_CHECK_ARG(!results.empty(), "[eval] no results to compare");
  std::vector<std::vector<std::string>> rows = {{"task", "metric", "n"}};
  for (const EvalResult& result : results) {
    check_same_tasks(results.front(), result);
    rows[0].push_back(result.model);
  }
  for (size_t t = 0; t < results.front().tasks.size(); ++t) {
    const TaskResult& first = results.front().tasks[t];
    rows.push_back({first.task, enum_name(first.metric), std::to_string(first.n)});
    for (size_t r = 0; r < results.size(); ++r) {
      const TaskResult& task = results[r].tasks[t];
      const bool clear = r > 0 && is_clear(compare_tasks(first, task, options));
      const char* mark = r == 0 ? "" : clear ? " *" : "  ";
      rows.back().push_back(fixed(task.score, 3) + mark);
    }
  }
  return align_columns(rows);
}

Json comparison_json(const std::vector<EvalResult>& results, const EvalOptions& options) {
  LMOE_CHECK_ARG(!results.empty(), "[eval] no results to compare");
  Json json = Json::array();
  for (size_t r = 1; r < results.size(); ++r) {
    check_same_tasks(results.front(), results[r]);
    for (size_t t = 0; t < results.front().tasks.size(); ++t) {
      const TaskResult& first = results.front().tasks[t];
      const Comparison comparison = compare_tasks(first, results[r].tasks[t], options);
      json.push_back({{"task", first.task},
                      {"metric", enum_name(first.metric)},
                      {"first", results.front().model},
                      {"second", results[r].model},
                      {"difference", comparison.difference},
                      {"ci_low", comparison.interval.low},
                      {"ci_high", comparison.interval.high},
                      {"p_value", comparison.p_value ? Json(*comparison.p_value) : Json(nullptr)}});
    }
  }
  return json;
}

}  // namespace lmoe::eval
