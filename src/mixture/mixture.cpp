#include "mixture/mixture.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <set>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "mixture/build.h"
#include "mixture/delta_pair.h"
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
  plain_banks_ = build_plain_banks(spec_, groups, seed, dtype);
}

Mixture::~Mixture() = default;

void Mixture::check_fits(const std::vector<nn::ProjectionGroup*>& groups) const {
  for (const auto* banks : {&banks_, &plain_banks_}) {
    for (const auto& bank : *banks) {
      LMOE_CHECK_ARG(bank->group() < groups.size(), "[attach] the model has no ",
                     bank->bank().targets().front().module_path,
                     "; the mixture was made for another base model");
      bank->check_fits(*groups[bank->group()]);
    }
  }
}

std::map<size_t, std::shared_ptr<nn::ProjectionDelta>> Mixture::deltas() const {
  std::map<size_t, std::shared_ptr<nn::ProjectionDelta>> all;
  for (const auto& bank : banks_) all[bank->group()] = bank;
  for (const auto& bank : plain_banks_) {
    std::shared_ptr<nn::ProjectionDelta>& delta = all[bank->group()];
    delta = delta ? std::make_shared<DeltaPair>(delta, bank)
                  : std::shared_ptr<nn::ProjectionDelta>(bank);
  }
  return all;
}

void Mixture::plug(const std::vector<nn::ProjectionGroup*>& groups) {
  check_fits(groups);
  const auto all = deltas();
  for (const auto& [group, delta] : all) groups[group]->check_free();
  for (const auto& [group, delta] : all) groups[group]->plug(delta);
}

void Mixture::unplug(const std::vector<nn::ProjectionGroup*>& groups) {
  for (const auto& [group, delta] : deltas()) groups.at(group)->unplug();
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
  for (const auto& bank : plain_banks_) append(bank->bank().parameters());
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

std::vector<std::string> Mixture::target_paths() const {
  std::vector<std::string> paths;
  for (const auto* banks : {&banks_, &plain_banks_})
    for (const auto& bank : *banks)
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
    const at::Tensor value = balance_losses(loss.kind, log).mean();
    if (values != nullptr) (*values)[enum_name(loss.kind)] = value.item<double>();
    const at::Tensor weighted = value * loss.coef;
    total = total.defined() ? total + weighted : weighted;
  }
  return total;
}

}  // namespace lmoe::mixture
