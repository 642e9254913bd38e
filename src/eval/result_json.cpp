#include "eval/result.h"

namespace lmoe::eval {
namespace {

Json task_json(const TaskResult& task, const std::optional<decode::RouterInfo>& router) {
  Json json;
  json["task"] = task.task;
  json["source"] = task.source;
  json["training_data"] = task.is_training_data;
  json["metric"] = enum_name(task.metric);
  json["score"] = task.score;
  json["n"] = task.n;
  json["ci_low"] = task.interval ? Json(task.interval->low) : Json(nullptr);
  json["ci_high"] = task.interval ? Json(task.interval->high) : Json(nullptr);
  json["higher_is_better"] = higher_is_better(task.metric);
  json.update(task.extra);
  if (task.usage && router) json["router"] = usage_json(*task.usage, *router);
  if (task.prompts) json["prompts"] = prompt_usage_json(*task.prompts);
  if (task.ablation) json["ablation"] = ablation_json(*task.ablation);
  if (!task.samples.empty()) {
    json["samples"] = Json::array();
    for (const Sample& sample : task.samples) json["samples"].push_back(sample_json(sample));
  }
  return json;
}

}  // namespace

Json result_json(const EvalResult& result) {
  Json json;
  json["model"] = result.model;
  json["confidence"] = result.confidence;
  if (result.router) {
    json["router"] = {{"experts", result.router->expert_names},
                      {"sites", result.router->sites},
                      {"layers", result.router->site_layers}};
  }
  json["tasks"] = Json::array();
  for (const TaskResult& task : result.tasks)
    json["tasks"].push_back(task_json(task, result.router));
  return json;
}

}  // namespace lmoe::eval
