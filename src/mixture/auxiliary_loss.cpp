// What a mixture adds to the loss: `losses`, and what keys of prompts learn from.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "mixture/gate.h"
#include "mixture/group_loss.h"
#include "mixture/mixture.h"
#include "mixture/prompt_bank.h"

namespace lmoe::mixture {
namespace {

/// What gates log that are undecided and choose equally often, all but `left_out` experts.
nn::RouterLog undecided(const std::vector<std::shared_ptr<Gate>>& gates, int64_t left_out) {
  int64_t tokens = 1;  // a multiple of every gate's experts
  for (const auto& gate : gates) tokens = std::lcm(tokens, gate->experts() - left_out);
  nn::RouterLog log;
  for (const auto& gate : gates) gate->log_uniform(log, tokens, gate->experts() - left_out);
  return log;
}

}  // namespace

at::Tensor Mixture::auxiliary_loss(const nn::RouterLog& log,
                                   std::map<std::string, double>* values) const {
  at::Tensor total;
  const auto add = [&](const std::string& name, const at::Tensor& value, double coef) {
    if (values != nullptr) (*values)[name] = value.item<double>();
    const at::Tensor weighted = value * coef;
    total = total.defined() ? total + weighted : weighted;
  };
  for (const spec::LossSpec& loss : spec_.losses) {
    LMOE_CHECK_ARG(!log.records.empty(),
                   "[auxiliary_loss] the router log is empty; hint: forward with "
                   "context.router_log set");
    add(enum_name(loss.kind),
        loss.per_group ? group_loss(loss, spec_.select, log) : balance_loss(loss, log), loss.coef);
  }
  const spec::PromptsSpec& prompts = spec_.prompts;
  if (spec_.has_prompts() && prompts.matching_coef > 0.0)
    add("prompt_matching", prompt_matching_loss(log), prompts.matching_coef);
  if (spec_.has_prompts() && prompts.triplet_coef > 0.0)
    add("prompt_triplet", prompt_triplet_loss(log, prompts.triplet_margin), prompts.triplet_coef);
  return total;
}

std::map<std::string, double> Mixture::losses_if_uniform() const {
  const c10::NoGradGuard no_grad;
  std::map<std::string, double> values;
  for (const spec::LossSpec& loss : spec_.losses) {
    // A group chooses among its own experts and those of everybody.
    const int64_t groups = loss.per_group ? spec_.select.private_groups() : 1;
    nn::RouterLog log = undecided(gates(), (groups - 1) * spec_.select.private_experts);
    const int64_t tokens = log.records.front().probabilities.size(0);
    for (int64_t t = 0; t < tokens; ++t)  // a document per token, the tasks in turn
      log.segments.push_back({.start = t, .length = 1, .task = t % loss.tasks.value_or(2)});
    values[enum_name(loss.kind)] =
        static_cast<double>(groups) * balance_loss(loss, log).item<double>();
  }
  return values;
}

}  // namespace lmoe::mixture
