#include "cli/compare/study_result.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "cli/compare/run_facts.h"
#include "cli/report_data.h"

namespace lmoe::cli {
namespace {

using Facts = std::map<const PlannedRun*, RunFacts>;

Facts read_facts(const StudyPlan& plan) {
  Facts facts;
  for (const PlannedRun& run : plan.runs) {
    if (auto found = read_run_facts(run.folder())) facts[&run] = std::move(*found);
  }
  return facts;
}

/// What rates are chosen by: the validation loss, or the first task where there is none.
struct Criterion {
  bool by_validation = true;
  std::string name = "validation loss";
  bool lower_is_better = true;

  Criterion(const StudyPlan& plan, const Facts& facts) : by_validation(plan.has_validation()) {
    if (by_validation) return;
    for (const auto& [run, fact] : facts) {
      if (fact.evaluation.is_null()) continue;
      const Json& task = fact.evaluation["tasks"][0];
      name = concat(task["metric"].get<std::string>(), " of ", task["task"].get<std::string>());
      lower_is_better = !task["higher_is_better"].get<bool>();
      return;
    }
  }

  std::optional<double> value(const RunFacts& facts) const {
    if (by_validation) return facts.validation_loss;
    if (facts.evaluation.is_null()) return {};
    return facts.evaluation["tasks"][0]["score"].get<double>();
  }
};

std::vector<const PlannedRun*> runs_of(const StudyPlan& plan,
                                       size_t method,
                                       const std::string& lr) {
  std::vector<const PlannedRun*> runs;
  for (const PlannedRun& run : plan.runs)
    if (run.method == method && run.lr == lr) runs.push_back(&run);
  return runs;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// Mean over the seeds; empty when one of them is missing.
std::optional<double> value_of(const std::vector<const PlannedRun*>& runs,
                               const Facts& facts,
                               const Criterion& criterion) {
  std::vector<double> values;
  for (const PlannedRun* run : runs) {
    const auto found = facts.find(run);
    const auto value = found == facts.end() ? std::nullopt : criterion.value(found->second);
    if (!value) return {};
    values.push_back(*value);
  }
  return mean(values);
}

std::optional<std::string> choose_rate(const StudyPlan& plan,
                                       size_t method,
                                       const Facts& facts,
                                       const Criterion& criterion) {
  const double sign = criterion.lower_is_better ? 1.0 : -1.0;
  std::optional<std::string> chosen;
  double best = 0;
  for (const std::string& lr : plan.rates) {
    const auto value = value_of(runs_of(plan, method, lr), facts, criterion);
    if (!value || (chosen && sign * *value >= sign * best)) continue;
    best = *value;
    chosen = lr;
  }
  return chosen;
}

Json optional_json(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json curve_json(const StudyPlan& plan,
                size_t method,
                const Facts& facts,
                const Criterion& criterion,
                const Failures& failures) {
  Json curve = Json::array();
  for (const std::string& lr : plan.rates) {
    const std::vector<const PlannedRun*> runs = runs_of(plan, method, lr);
    Json seeds = Json::array();
    for (const PlannedRun* run : runs) {
      const auto found = facts.find(run);
      Json seed = {{"seed", run->seed}, {"run", run->name()}};
      seed["value"] =
          found == facts.end() ? Json(nullptr) : optional_json(criterion.value(found->second));
      if (const auto failure = failures.find(run->name()); failure != failures.end())
        seed["error"] = failure->second;
      seeds.push_back(std::move(seed));
    }
    curve.push_back({{"lr", runs.front()->recipe.optimizer.learning_rate},
                     {"value", optional_json(value_of(runs, facts, criterion))},
                     {"seeds", std::move(seeds)}});
  }
  return curve;
}

/// The same task of all seeds.
Json task_json(const std::vector<const Json*>& tasks) {
  std::vector<double> scores, lows, highs;
  for (const Json* task : tasks) {
    scores.push_back((*task)["score"].get<double>());
    if ((*task)["ci_low"].is_number()) lows.push_back((*task)["ci_low"].get<double>());
    if ((*task)["ci_high"].is_number()) highs.push_back((*task)["ci_high"].get<double>());
  }
  const Json& first = *tasks.front();
  const bool has_interval = lows.size() == tasks.size() && highs.size() == tasks.size();
  return {{"task", first["task"]},
          {"metric", first["metric"]},
          {"score", mean(scores)},
          {"ci_low", has_interval ? Json(mean(lows)) : Json(nullptr)},
          {"ci_high", has_interval ? Json(mean(highs)) : Json(nullptr)},
          {"n", first["n"]},
          {"higher_is_better", first["higher_is_better"]},
          {"seeds", scores}};
}

/// Cost and scores of the chosen runs.
void add_chosen(Json& method, const std::vector<const PlannedRun*>& runs, const Facts& facts) {
  std::vector<double> seconds, speeds, peaks;
  std::vector<const Json*> results;
  for (const PlannedRun* run : runs) {
    const RunFacts& fact = facts.at(run);
    seconds.push_back(fact.seconds_per_step);
    speeds.push_back(fact.tokens_per_second);
    peaks.push_back(fact.peak_memory_bytes);
    if (!fact.evaluation.is_null()) results.push_back(&fact.evaluation);
  }
  method["seconds_per_step"] = mean(seconds);
  method["tokens_per_second"] = mean(speeds);
  method["peak_memory_bytes"] = *std::max_element(peaks.begin(), peaks.end());
  method["tokens"] = facts.at(runs.front()).tokens;
  method["tasks"] = Json::array();
  if (results.size() < runs.size()) return;
  const Json& first = *results.front();
  for (size_t t = 0; t < first["tasks"].size(); ++t) {
    std::vector<const Json*> tasks;
    for (const Json* result : results) tasks.push_back(&(*result)["tasks"][t]);
    method["tasks"].push_back(task_json(tasks));
  }
  if (const Json router = router_usage(first); !router.empty()) method["router"] = router;
}

Json method_json(const StudyPlan& plan,
                 size_t index,
                 const Facts& facts,
                 const Criterion& criterion,
                 const Failures& failures) {
  const PlannedMethod& method = plan.methods[index];
  Json json = {{"method", method.name},
               {"rank", method.mixture.experts.rank},
               {"experts", method.mixture.experts.count},
               {"trained_parameters", method.parameters},
               {"difference", static_cast<double>(method.parameters - plan.parameters) /
                                  static_cast<double>(plan.parameters)}};
  const auto chosen = choose_rate(plan, index, facts, criterion);
  json["learning_rate"] = nullptr;
  json["curve"] = curve_json(plan, index, facts, criterion, failures);
  if (!chosen) return json;
  const std::vector<const PlannedRun*> runs = runs_of(plan, index, *chosen);
  json["learning_rate"] = runs.front()->recipe.optimizer.learning_rate;
  const auto [least, most] = std::minmax_element(
      json["curve"].begin(), json["curve"].end(),
      [](const Json& a, const Json& b) { return a["lr"].get<double>() < b["lr"].get<double>(); });
  json["at_edge"] = plan.rates.size() > 1 && (json["learning_rate"] == (*least)["lr"] ||
                                              json["learning_rate"] == (*most)["lr"]);
  add_chosen(json, runs, facts);
  return json;
}

}  // namespace

std::vector<std::optional<std::string>> choose_rates(const StudyPlan& plan) {
  const Facts facts = read_facts(plan);
  const Criterion criterion(plan, facts);
  std::vector<std::optional<std::string>> rates;
  for (size_t m = 0; m < plan.methods.size(); ++m)
    rates.push_back(choose_rate(plan, m, facts, criterion));
  return rates;
}

std::vector<const PlannedRun*> chosen_runs(const StudyPlan& plan,
                                           const std::vector<std::optional<std::string>>& rates) {
  std::vector<const PlannedRun*> runs;
  for (size_t m = 0; m < rates.size(); ++m) {
    if (!rates[m]) continue;
    for (const PlannedRun* run : runs_of(plan, m, *rates[m])) runs.push_back(run);
  }
  return runs;
}

Json study_json(const StudyPlan& plan, const std::string& recipe_path, const Failures& failures) {
  const Facts facts = read_facts(plan);
  const Criterion criterion(plan, facts);
  Json json = {{"recipe", recipe_path},
               {"parameters", plan.parameters},
               {"chosen_by", criterion.name},
               {"methods", Json::array()},
               {"failures", Json::array()}};
  for (size_t m = 0; m < plan.methods.size(); ++m)
    json["methods"].push_back(method_json(plan, m, facts, criterion, failures));
  for (const auto& [run, error] : failures)
    json["failures"].push_back({{"run", run}, {"error", error}});
  return json;
}

}  // namespace lmoe::cli
