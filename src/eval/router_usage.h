// What the router does on a task: which experts it weighs how much, where, and how sure it is.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"
#include "decode/step_model.h"
#include "eval/task_score.h"

namespace lmoe::eval {

struct RouterUsage {
  int num_experts = 0;
  int num_sites = 0;
  int64_t tokens = 0;
  std::vector<double> weight;   ///< [sites, experts] mean routing weight
  std::vector<double> load;     ///< [sites, experts] share of tokens with this expert first
  std::vector<double> entropy;  ///< [sites] mean entropy of a token's weights, nats

  RouterUsage() = default;
  explicit RouterUsage(const decode::RouterInfo& info);
  /// Sums; `finish` turns sums into means.
  void add(const decode::TokenRouting& routing);
  void finish();
};

/// Feeds prompts with their right answers, as many records as `usage_records`, and watches the
/// router at every token.
RouterUsage measure_router_usage(const EvalContext& context, const EvalTask& task);

/// {"tokens", "weights": [E], "load": [E], "entropy", "layers": [{"layer", "weights", "load",
/// "entropy"}]}: means over all sites and over the sites of each layer.
Json usage_json(const RouterUsage& usage, const decode::RouterInfo& info);

}  // namespace lmoe::eval
