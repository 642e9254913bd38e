// What an evaluation found, as structs; JSON and a table are made from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "decode/step_model.h"
#include "eval/ablation.h"
#include "eval/compare.h"
#include "eval/interval.h"
#include "eval/metric.h"
#include "eval/prompt_usage.h"
#include "eval/router_usage.h"
#include "eval/samples.h"

namespace lmoe::eval {

struct TaskResult {
  std::string task;
  std::string source;             ///< the file its records came from
  bool is_training_data = false;  ///< the model was trained on some of these records
  Metric metric = Metric::kExactMatch;
  double score = 0.0;
  int64_t n = 0;  ///< records
  std::optional<Interval> interval;
  Json extra = Json::object();  ///< further numbers of the metric
  std::vector<Outcome> outcomes;
  std::optional<RouterUsage> usage;
  std::optional<PromptUsage> prompts;
  std::optional<Ablation> ablation;
  std::vector<Sample> samples;
};

struct EvalResult {
  std::string model;  ///< what was evaluated, for people
  double confidence = 0.95;
  std::optional<decode::RouterInfo> router;
  std::vector<TaskResult> tasks;
};

/// {"model", "confidence", "router": {"experts", "sites", "layers"}?, "tasks": [{"task", "source",
/// "training_data", "metric", "score", "n", "ci_low", "ci_high", "higher_is_better", …extra,
/// "router"?, "prompts"?, "ablation"?, "samples"?}]}. Absent intervals are null.
Json result_json(const EvalResult& result);

/// A plain text table, one line per task; then, with a router, expert loads and what switching each
/// expert off changes. Ends with a line break.
std::string result_table(const EvalResult& result);

/// Several models on the same tasks side by side. Differences to the first model that chance hardly
/// explains (p < 0.05, or an interval without 0) are marked with *. Throws kInvalidArgument when
/// tasks or records differ.
std::string comparison_table(const std::vector<EvalResult>& results, const EvalOptions& options);

/// [{"task", "metric", "first", "second", "difference", "ci_low", "ci_high", "p_value"}]: every
/// later model against the first.
Json comparison_json(const std::vector<EvalResult>& results, const EvalOptions& options);

}  // namespace lmoe::eval
