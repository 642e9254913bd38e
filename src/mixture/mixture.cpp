#include "mixture/mixture.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "mixture/build.h"
#include "mixture/delta_pair.h"
#include "mixture/prompt_bank.h"
#include "mixture/run_folder.h"
#include "mixture/site_bank.h"

namespace lmoe::mixture {
namespace {

std::shared_ptr<PromptBank> build_prompt_bank(const spec::PromptsSpec& spec,
                                              const nn::Sockets& sockets,
                                              uint64_t seed,
                                              const at::TensorOptions& options) {
  if (spec.count == 0) return nullptr;
  LMOE_CHECK_ARG(sockets.prompts != nullptr,
                 "[mixture] mixture.prompts: nothing can stand in front of this model's documents");
  return std::make_shared<PromptBank>(spec, sockets.prompts->hidden_size(), seed, options);
}

/// On the device of the model's weights.
at::TensorOptions options_of(const nn::Sockets& sockets, at::ScalarType dtype) {
  const at::TensorOptions options(dtype);
  if (sockets.groups.empty()) return options;
  return options.device(sockets.groups.front()->linears().front().weight.device());
}

}  // namespace

Mixture::Mixture(spec::MixtureSpec spec,
                 const nn::Sockets& sockets,
                 uint64_t seed,
                 at::ScalarType dtype)
    : spec_(std::move(spec)) {
  spec::check_mixture(spec_, "attach");
  const at::TensorOptions options = options_of(sockets, dtype);
  if (spec_.attach == spec::Attach::kFfnBlock)
    ffn_experts_ = build_ffn_experts(spec_, sockets, seed, options);
  else
    banks_ = build_banks(spec_, sockets.groups, seed, options);
  plain_banks_ = build_plain_banks(spec_, sockets.groups, seed, options);
  prompt_bank_ = build_prompt_bank(spec_.prompts, sockets, seed, options);
}

Mixture::~Mixture() = default;

void Mixture::check_fits(const nn::Sockets& sockets) const {
  const auto check_there = [](bool is_there, const ExpertBank& bank) {
    LMOE_CHECK_ARG(is_there, "[attach] the model has no ", bank.targets().front().module_path,
                   "; the mixture was made for another base model");
  };
  for (const auto* banks : {&banks_, &plain_banks_}) {
    for (const auto& bank : *banks) {
      check_there(bank->group() < sockets.groups.size(), bank->bank());
      bank->bank().check_fits(*sockets.groups[bank->group()]);
    }
  }
  for (const auto& experts : ffn_experts_) {
    check_there(experts->block() < sockets.mlps.size(), *experts->banks().front());
    experts->check_fits(*sockets.mlps[experts->block()]);
  }
  if (!prompt_bank_) return;
  const int64_t own = prompt_bank_->keys().size(1);
  LMOE_CHECK_ARG(sockets.prompts != nullptr && sockets.prompts->hidden_size() == own,
                 "[attach] the model has no place for prompts of width ", own,
                 "; the mixture was made for another base model");
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

void Mixture::plug(const nn::Sockets& sockets) {
  check_fits(sockets);
  const auto all = deltas();
  for (const auto& [group, delta] : all) sockets.groups[group]->check_free();
  for (const auto& experts : ffn_experts_) sockets.mlps[experts->block()]->check_free();
  if (prompt_bank_) sockets.prompts->check_free();
  const bool wants_first_pass = spec_.gate.source == spec::GateSource::kLastHidden;
  if (wants_first_pass && sockets.first_pass != nullptr) sockets.first_pass->plug();
  for (const auto& [group, delta] : all) sockets.groups[group]->plug(delta);
  for (const auto& experts : ffn_experts_) sockets.mlps[experts->block()]->plug(experts);
  if (prompt_bank_) sockets.prompts->plug(prompt_bank_);
}

void Mixture::unplug(const nn::Sockets& sockets) {
  if (spec_.gate.source == spec::GateSource::kLastHidden && sockets.first_pass != nullptr)
    sockets.first_pass->unplug();
  for (const auto& [group, delta] : deltas()) sockets.groups.at(group)->unplug();
  for (const auto& experts : ffn_experts_) sockets.mlps.at(experts->block())->unplug();
  if (prompt_bank_) sockets.prompts->unplug();
}

std::vector<std::shared_ptr<Gate>> Mixture::gates() const {
  std::vector<std::shared_ptr<Gate>> gates;
  std::set<const Gate*> seen;
  const auto add = [&](const std::shared_ptr<Gate>& gate) {
    if (gate && seen.insert(gate.get()).second) gates.push_back(gate);
  };
  for (const auto& bank : banks_) add(bank->gate());
  for (const auto& experts : ffn_experts_) add(experts->gate());
  return gates;
}

std::vector<const ExpertBank*> Mixture::expert_banks() const {
  std::vector<const ExpertBank*> all;
  for (const auto& bank : banks_) all.push_back(&bank->bank());
  for (const auto& experts : ffn_experts_)
    for (const ExpertBank* bank : experts->banks()) all.push_back(bank);
  return all;
}

std::vector<const ExpertBank*> Mixture::plain_expert_banks() const {
  std::vector<const ExpertBank*> all;
  for (const auto& bank : plain_banks_) all.push_back(&bank->bank());
  return all;
}

std::vector<nn::NamedTensor> Mixture::parameters() const {
  std::vector<nn::NamedTensor> all;
  const auto append = [&](std::vector<nn::NamedTensor> some) {
    all.insert(all.end(), some.begin(), some.end());
  };
  for (const ExpertBank* bank : expert_banks()) append(bank->parameters());
  append(gate_parameters());
  for (const ExpertBank* bank : plain_expert_banks()) append(bank->parameters());
  if (prompt_bank_) append(prompt_bank_->parameters());
  return all;
}

std::vector<nn::NamedTensor> Mixture::gate_parameters() const {
  std::vector<nn::NamedTensor> all;
  for (const auto& gate : gates())
    for (nn::NamedTensor& parameter : gate->parameters()) all.push_back(std::move(parameter));
  for (nn::NamedTensor& common : common_gate_parameters()) all.push_back(std::move(common));
  return all;
}

std::vector<nn::NamedTensor> Mixture::common_gate_parameters() const {
  const auto all = gates();
  return all.empty() ? std::vector<nn::NamedTensor>() : all.front()->common_parameters();
}

std::vector<nn::NamedTensor> Mixture::trained_parameters() const {
  std::vector<nn::NamedTensor> all = parameters();
  if (!spec_.schedule.never_trains_experts()) return all;
  int64_t experts = 0;
  for (const ExpertBank* bank : expert_banks()) experts += std::ssize(bank->parameters());
  all.erase(all.begin(), all.begin() + experts);
  return all;
}

int64_t Mixture::trained_parameter_count() const {
  int64_t count = 0;
  for (const nn::NamedTensor& parameter : trained_parameters()) count += parameter.tensor.numel();
  return count;
}

std::vector<PartOfParameter> Mixture::frozen_parts() const {
  const std::vector<std::string> names = spec_.expert_names();
  if (spec_.schedule.staged) return parts_of_other_stages();
  std::vector<PartOfParameter> parts;
  for (const std::string& name : spec_.experts.frozen)
    add_parts(std::find(names.begin(), names.end(), name) - names.begin(), parts);
  if (prompt_bank_)
    for (PartOfParameter& part : prompt_bank_->frozen_parts()) parts.push_back(std::move(part));
  return parts;
}

void Mixture::add_parts(int64_t expert, std::vector<PartOfParameter>& parts) const {
  for (const ExpertBank* bank : expert_banks()) {
    if (expert >= bank->experts()) continue;  // layers may have fewer experts
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const ExpertFactors factors = bank->folder_factors(t, expert);
      parts.push_back({bank->a(), factors.a});
      parts.push_back({bank->b_rows(t), factors.b});
    }
  }
}

void Mixture::copy_from(const Mixture& other) {
  const c10::NoGradGuard no_grad;
  const auto check = [](bool same, const auto&... difference) {
    if (!same)
      fail(ErrorCode::kInvalidArgument, "[init_from] the mixture differs: ", difference...);
  };
  check(other.spec_.expert_names() == spec_.expert_names(), "given experts ",
        Json(other.spec_.expert_names()).dump(), ", expected ", Json(spec_.expert_names()).dump());
  check(other.spec_.scaling() == spec_.scaling(), "given scaling ", other.spec_.scaling(),
        ", expected ", spec_.scaling());
  const auto copy = [&](const std::vector<nn::NamedTensor>& from,
                        const std::vector<nn::NamedTensor>& to) {
    check(from.size() == to.size(), "given ", from.size(), " tensors, expected ", to.size());
    for (size_t i = 0; i < to.size(); ++i) {
      check(from[i].name == to[i].name, "given ", from[i].name, ", expected ", to[i].name);
      check(from[i].tensor.sizes() == to[i].tensor.sizes(), to[i].name, " has shape ",
            from[i].tensor.sizes(), ", expected ", to[i].tensor.sizes());
    }
    for (size_t i = 0; i < to.size(); ++i) to[i].tensor.copy_(from[i].tensor);
  };
  copy(other.parameters(), parameters());
  copy(other.fixed_tensors(), fixed_tensors());
  copy(other.buffers(), buffers());
}

std::vector<nn::NamedTensor> Mixture::fixed_tensors() const {
  std::vector<nn::NamedTensor> all;
  for (const ExpertBank* bank : expert_banks())
    for (nn::NamedTensor& fixed : bank->fixed_tensors()) all.push_back(std::move(fixed));
  if (prompt_bank_)
    for (nn::NamedTensor& fixed : prompt_bank_->fixed_tensors()) all.push_back(std::move(fixed));
  return all;
}

std::vector<nn::NamedTensor> Mixture::buffers() const {
  std::vector<nn::NamedTensor> all;
  for (const auto& gate : gates()) {
    if (!gate->bias().defined()) continue;
    for (size_t g = 0; g < gate->sites().size(); ++g)
      all.push_back(
          {router_tensor(gate->sites()[g].name, "bias"), gate->bias()[static_cast<int64_t>(g)]});
  }
  for (const auto& gate : gates()) {
    const std::string& owner = gate->owners().front().name;  // the others have the same
    if (gate->active_experts().defined())
      all.push_back({router_tensor(owner, "active_experts"), gate->active_experts()});
    if (gate->references() == nullptr) continue;
    all.push_back({router_tensor(owner, "references"), gate->references()->keys});
    all.push_back({router_tensor(owner, "reference_experts"), gate->references()->values});
  }
  return all;
}

void Mixture::update_biases(const SelectionCounts& counts, double progress) {
  const spec::ScheduleSpec& schedule = spec_.schedule;
  if (progress < schedule.hard_until || progress >= schedule.freeze_gates_from) return;
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

bool Mixture::advance_to(double progress) {
  if (progress >= spec_.schedule.freeze_gates_from)
    for (const nn::NamedTensor& parameter : gate_parameters())
      parameter.tensor.requires_grad_(false);
  if (spec_.schedule.staged) return enter_stage(progress);
  if (!spec_.schedule.freeze_experts) return false;
  const bool learn = progress < spec_.schedule.hard_until;
  for (const ExpertBank* bank : expert_banks())
    for (const nn::NamedTensor& parameter : bank->parameters())
      parameter.tensor.requires_grad_(learn);
  return false;
}

std::vector<std::string> Mixture::target_paths() const {
  std::vector<std::string> paths;
  for (const auto& banks : {expert_banks(), plain_expert_banks()})
    for (const ExpertBank* bank : banks)
      for (const BankTarget& target : bank->targets()) paths.push_back(target.module_path);
  return paths;
}

std::vector<SiteInfo> Mixture::sites() const {
  std::vector<SiteInfo> all;
  for (const auto& gate : gates())
    all.insert(all.end(), gate->sites().begin(), gate->sites().end());
  return all;
}

}  // namespace lmoe::mixture
