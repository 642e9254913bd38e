#include "mixture/mixture.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>
#include <set>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "mixture/build.h"
#include "mixture/run_folder.h"
#include "mixture/site_bank.h"

namespace lmoe::mixture {

Mixture::Mixture(spec::MixtureSpec spec,
                 const std::vector<nn::ProjectionGroup*>& groups,
                 uint64_t seed,
                 at::ScalarType dtype)
    : spec_(std::move(spec)) {
  spec::check_mixture(spec_, "attach");
  banks_ = build_banks(spec_, groups, seed, dtype);
}

Mixture::~Mixture() = default;

void Mixture::plug(const std::vector<nn::ProjectionGroup*>& groups) {
  for (const auto& bank : banks_) {
    LMOE_CHECK_ARG(bank->group() < groups.size(), "[attach] the model has no ",
                   bank->bank().targets().front().module_path,
                   "; the mixture was made for another base model");
    bank->check_fits(*groups[bank->group()]);
  }
  for (size_t i = 0; i < banks_.size(); ++i) {
    try {
      groups[banks_[i]->group()]->plug(banks_[i]);
    } catch (...) {
      for (size_t done = 0; done < i; ++done) groups[banks_[done]->group()]->unplug();
      throw;
    }
  }
}

void Mixture::unplug(const std::vector<nn::ProjectionGroup*>& groups) {
  for (const auto& bank : banks_) groups.at(bank->group())->unplug();
}

std::vector<std::shared_ptr<Gate>> Mixture::gates() const {
  std::vector<std::shared_ptr<Gate>> gates;
  std::set<const Gate*> seen;
  for (const auto& bank : banks_)
    if (bank->gate() && seen.insert(bank->gate().get()).second) gates.push_back(bank->gate());
  return gates;
}

std::vector<nn::NamedTensor> Mixture::parameters() const {
  std::vector<nn::NamedTensor> all;
  const auto append = [&](std::vector<nn::NamedTensor> some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  for (const auto& bank : banks_) append(bank->bank().parameters());
  for (const auto& gate : gates()) append(gate->parameters());
  return all;
}

int64_t Mixture::parameter_count() const {
  int64_t count = 0;
  for (const nn::NamedTensor& parameter : parameters()) count += parameter.tensor.numel();
  return count;
}

std::vector<nn::NamedTensor> Mixture::buffers() const {
  std::vector<nn::NamedTensor> all;
  for (const auto& gate : gates()) {
    if (!gate->bias().defined()) continue;
    for (size_t g = 0; g < gate->sites().size(); ++g)
      all.push_back(
          {router_tensor(gate->sites()[g].name, "bias"), gate->bias()[static_cast<int64_t>(g)]});
  }
  return all;
}

void Mixture::update_biases(const SelectionCounts& counts) {
  const c10::NoGradGuard no_grad;
  for (const auto& gate : gates()) {
    if (!gate->bias().defined()) continue;
    for (size_t g = 0; g < gate->sites().size(); ++g) {
      const at::Tensor chosen = counts.of(gate->sites()[g].name);
      if (!chosen.defined()) continue;
      at::Tensor bias = gate->bias()[static_cast<int64_t>(g)];
      bias.add_(at::sign(chosen.mean() - chosen).to(bias.scalar_type()), spec_.bias.rate);
    }
  }
}

void Mixture::advance_to(double progress) {
  if (!spec_.schedule.freeze_experts) return;
  const bool learn = progress < spec_.schedule.hard_until;
  for (const auto& bank : banks_)
    for (const nn::NamedTensor& parameter : bank->bank().parameters())
      parameter.tensor.requires_grad_(learn);
}

std::vector<std::string> Mixture::target_paths() const {
  std::vector<std::string> paths;
  for (const auto& bank : banks_)
    for (const BankTarget& target : bank->bank().targets()) paths.push_back(target.module_path);
  return paths;
}

std::vector<SiteInfo> Mixture::sites() const {
  std::vector<SiteInfo> all;
  for (const auto& gate : gates())
    all.insert(all.end(), gate->sites().begin(), gate->sites().end());
  return all;
}

at::Tensor Mixture::auxiliary_loss(const nn::RouterLog& log,
                                   std::map<std::string, double>* values) const {
  at::Tensor total;
  for (const spec::LossSpec& loss : spec_.losses) {
    LMOE_CHECK_ARG(!log.records.empty(),
                   "[auxiliary_loss] the router log is empty; hint: forward with "
                   "context.router_log set");
    const at::Tensor value = balance_loss(loss, log);
    if (values != nullptr) (*values)[enum_name(loss.kind)] = value.item<double>();
    const at::Tensor weighted = value * loss.coef;
    total = total.defined() ? total + weighted : weighted;
  }
  return total;
}

std::map<std::string, double> Mixture::losses_if_uniform() const {
  const c10::NoGradGuard no_grad;
  int64_t tokens = 1;  // a multiple of every gate's experts
  for (const auto& gate : gates()) tokens = std::lcm(tokens, gate->experts());
  nn::RouterLog log;
  for (const auto& gate : gates()) gate->log_uniform(log, tokens);
  std::map<std::string, double> values;
  for (const spec::LossSpec& loss : spec_.losses) {
    log.segments.clear();  // a document per token, the tasks in turn
    for (int64_t t = 0; t < tokens; ++t)
      log.segments.push_back({.start = t, .length = 1, .task = t % loss.tasks.value_or(2)});
    values[enum_name(loss.kind)] = balance_loss(loss, log).item<double>();
  }
  return values;
}

}  // namespace lmoe::mixture
