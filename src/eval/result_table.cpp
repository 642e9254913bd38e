#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "eval/result.h"
#include "eval/table.h"

namespace lmoe::eval {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string interval_text(const std::optional<Interval>& interval) {
  return interval ? fixed(interval->low, 3) + " to " + fixed(interval->high, 3) : "-";
}

std::string score_table(const EvalResult& result) {
  Rows rows = {{"task", "metric", "score", fixed(100 * result.confidence, 0) + " % interval", "n"}};
  for (const TaskResult& task : result.tasks) {
    rows.push_back({task.task, enum_name(task.metric), fixed(task.score, 3),
                    interval_text(task.interval), std::to_string(task.n)});
  }
  return align_columns(rows);
}

/// Which scores tell nothing of records the model has not seen; empty when all do.
std::string training_data_note(const EvalResult& result) {
  std::string names;
  for (const TaskResult& task : result.tasks)
    if (task.is_training_data) names += (names.empty() ? "" : ", ") + task.task;
  return names.empty() ? names : "records of the training data, not held out: " + names + "\n";
}

std::vector<double> mean_load(const RouterUsage& usage) {
  std::vector<double> load(static_cast<size_t>(usage.num_experts));
  for (size_t i = 0; i < usage.load.size(); ++i)
    load[i % load.size()] += usage.load[i] / usage.num_sites;
  return load;
}

std::string usage_table(const EvalResult& result) {
  Rows rows = {{"task"}};
  for (const std::string& name : result.router->expert_names) rows[0].push_back(name);
  rows[0].push_back("entropy");
  for (const TaskResult& task : result.tasks) {
    if (!task.usage) continue;
    rows.push_back({task.task});
    for (const double load : mean_load(*task.usage))
      rows.back().push_back(fixed(100 * load, 1) + " %");
    double entropy = 0.0;
    for (const double site : task.usage->entropy) entropy += site / task.usage->num_sites;
    rows.back().push_back(fixed(entropy, 3));
  }
  if (rows.size() == 1) return {};
  return "\nexpert chosen first, share of tokens; entropy of the gate in nats\n" +
         align_columns(rows);
}

/// "3: 80.0 %, 7: 12.5 %": the entries with the largest shares.
std::string largest_shares(const std::vector<double>& shares) {
  constexpr size_t kShown = 6;
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return shares[a] > shares[b]; });
  std::string text;
  for (size_t i = 0; i < std::min(kShown, order.size()) && shares[order[i]] > 0.0; ++i)
    text += concat(i == 0 ? "" : ", ", order[i], ": ", fixed(100 * shares[order[i]], 1), " %");
  return text;
}

std::string prompts_table(const EvalResult& result) {
  Rows rows = {{"task", "records", "entry: share"}};
  for (const TaskResult& task : result.tasks) {
    if (!task.prompts) continue;
    rows.push_back(
        {task.task, std::to_string(task.prompts->records), largest_shares(task.prompts->share)});
  }
  if (rows.size() == 1) return {};
  return "\nprompts of the bank in front of records, the most frequent\n" + align_columns(rows);
}

std::string ablation_table(const EvalResult& result) {
  Rows rows = {{"task"}};
  for (const std::string& name : result.router->expert_names) rows[0].push_back(name);
  Rows losses = rows;
  for (const TaskResult& task : result.tasks) {
    if (!task.ablation) continue;
    rows.push_back({task.task});
    losses.push_back({task.task});
    for (const ExpertAblation& expert : task.ablation->experts) {
      rows.back().push_back(signed_fixed(expert.score_change, 3));
      losses.back().push_back(signed_fixed(expert.loss_change, 3));
    }
  }
  if (rows.size() == 1) return {};
  return "\nexpert switched off: change of the score\n" + align_columns(rows) +
         "\nexpert switched off: change of the loss of right answers, nats per token\n" +
         align_columns(losses);
}

}  // namespace

std::string result_table(const EvalResult& result) {
  std::string out = score_table(result) + training_data_note(result);
  out += prompts_table(result);
  if (result.router) out += usage_table(result) + ablation_table(result);
  return out;
}

}  // namespace lmoe::eval
