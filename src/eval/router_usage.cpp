#include "eval/router_usage.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "eval/progress.h"
#include "generate/sequence_cache.h"

namespace lmoe::eval {
namespace {

constexpr int64_t kTokensPerStep = 512;

double entropy_of(std::span<const float> weights) {
  double entropy = 0.0;
  for (const float weight : weights)
    if (weight > 0.0F) entropy -= static_cast<double>(weight) * std::log(weight);
  return entropy;
}

Json sites_json(const RouterUsage& usage, const std::vector<size_t>& sites) {
  const auto experts = static_cast<size_t>(usage.num_experts);
  std::vector<double> weights(experts);
  std::vector<double> load(experts);
  double entropy = 0.0;
  const double share = 1.0 / static_cast<double>(sites.size());
  for (const size_t site : sites) {
    for (size_t e = 0; e < experts; ++e) {
      weights[e] += share * usage.weight[site * experts + e];
      load[e] += share * usage.load[site * experts + e];
    }
    entropy += share * usage.entropy[site];
  }
  return {{"weights", weights}, {"load", load}, {"entropy", entropy}};
}

}  // namespace

RouterUsage::RouterUsage(const decode::RouterInfo& info)
    : num_experts(static_cast<int>(info.expert_names.size())),
      num_sites(static_cast<int>(info.sites.size())),
      weight(info.sites.size() * info.expert_names.size()),
      load(weight.size()),
      entropy(info.sites.size()) {}

void RouterUsage::add(const decode::TokenRouting& routing) {
  const auto experts = static_cast<size_t>(num_experts);
  LMOE_ASSERT(routing.weights.size() == weight.size());
  for (size_t site = 0; site < entropy.size(); ++site) {
    const auto row = std::span(routing.weights).subspan(site * experts, experts);
    for (size_t e = 0; e < experts; ++e) weight[site * experts + e] += row[e];
    const auto best = std::max_element(row.begin(), row.end());
    if (*best > 0) load[site * experts + static_cast<size_t>(best - row.begin())] += 1.0;
    entropy[site] += entropy_of(row);
  }
  ++tokens;
}

void RouterUsage::finish() {
  if (tokens == 0) return;
  const double share = 1.0 / static_cast<double>(tokens);
  for (std::vector<double>* sums : {&weight, &load, &entropy})
    for (double& sum : *sums) sum *= share;
}

RouterUsage measure_router_usage(const EvalContext& context, const EvalTask& task) {
  const decode::RouterInfo* info = context.model.router();
  LMOE_CHECK_ARG(info != nullptr, "[eval] the model has no router to watch");
  const EvalTask part = first_items(task, context.options.usage_records);
  Progress progress(context.hooks, task.name, "router usage", std::ssize(part.items));
  RouterUsage usage(*info);
  for (const EvalItem& item : part.items) {
    generate::SequenceCache sequence(context.model);
    const auto ids = std::span(item.ids).first(
        std::min(item.ids.size(), static_cast<size_t>(context.model.max_positions())));
    const size_t step = context.model.decides_by_prompt() ? ids.size() : kTokensPerStep;
    for (size_t begin = 0; begin < ids.size(); begin += step) {
      progress.check_cancelled();
      const decode::StepInput input{sequence.id(),
                                    ids.subspan(begin, std::min(step, ids.size() - begin)),
                                    std::min(item.prompt_length(), std::ssize(ids)), item.passages};
      const auto output = context.model.step(std::span(&input, 1), /*want_routing=*/true);
      LMOE_ASSERT(output.routing.size() == 1 && output.routing[0].size() == input.ids.size());
      for (const decode::TokenRouting& token : output.routing[0]) usage.add(token);
    }
    progress.add(1);
  }
  usage.finish();
  return usage;
}

Json usage_json(const RouterUsage& usage, const decode::RouterInfo& info) {
  std::vector<size_t> all;
  std::map<int, std::vector<size_t>> by_layer;
  for (size_t site = 0; site < info.sites.size(); ++site) {
    all.push_back(site);
    by_layer[info.site_layers[site]].push_back(site);
  }
  Json json = {{"tokens", usage.tokens}};
  json.update(sites_json(usage, all));
  json["layers"] = Json::array();
  for (const auto& [layer, sites] : by_layer) {
    Json entry = {{"layer", layer}};
    entry.update(sites_json(usage, sites));
    json["layers"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace lmoe::eval
