#include "eval/ablation.h"

#include "eval/compare.h"
#include "eval/perplexity.h"

namespace lmoe::eval {
namespace {

class ExpertOff {
 public:
  ExpertOff(decode::StepModel& model, int expert) : model_(model) { model_.disable_expert(expert); }
  ~ExpertOff() { model_.disable_expert(std::nullopt); }
  ExpertOff(const ExpertOff&) = delete;
  ExpertOff& operator=(const ExpertOff&) = delete;

 private:
  decode::StepModel& model_;
};

struct Measured {
  std::vector<Outcome> outcomes;
  double score = 0.0;
  double loss = 0.0;
};

Measured measure_with_loss(const EvalContext& context,
                           const EvalTask& task,
                           const std::string& phase) {
  Measured result;
  TaskScore score = measure(context, task, phase);
  result.outcomes = std::move(score.outcomes);
  result.score = score_of(task.metric, result.outcomes);
  if (task.metric != Metric::kPerplexity)
    score = measure_perplexity(context, task, phase + ", loss");
  result.loss = score.extra["loss"].get<double>();
  return result;
}

}  // namespace

Ablation measure_ablation(const EvalContext& context, const EvalTask& task) {
  const decode::RouterInfo* info = context.model.router();
  LMOE_CHECK_ARG(info != nullptr, "[eval] the model has no experts to switch off");
  const EvalTask part = first_items(task, context.options.ablation_records);
  const Measured all = measure_with_loss(context, part, "with all experts");
  Ablation ablation{std::ssize(part.items), all.score, all.loss, {}};
  for (size_t e = 0; e < info->expert_names.size(); ++e) {
    const ExpertOff off(context.model, static_cast<int>(e));
    const std::string& name = info->expert_names[e];
    const Measured without = measure_with_loss(context, part, "without " + name);
    const Comparison change = compare(part.metric, all.outcomes, without.outcomes, context.options);
    ablation.experts.push_back(
        {name, without.score, change.difference, change.interval, without.loss - all.loss});
  }
  return ablation;
}

Json ablation_json(const Ablation& ablation) {
  Json json = {{"n", ablation.n}, {"score", ablation.score}, {"loss", ablation.loss}};
  json["experts"] = Json::array();
  for (const ExpertAblation& expert : ablation.experts) {
    json["experts"].push_back({{"expert", expert.expert},
                               {"score", expert.score},
                               {"score_change", expert.score_change},
                               {"ci_low", expert.interval.low},
                               {"ci_high", expert.interval.high},
                               {"loss_change", expert.loss_change}});
  }
  return json;
}

}  // namespace lmoe::eval
