#include "mixture/change_experts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "mixture/copy_experts.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"

namespace lmoe::mixture {
namespace {

int64_t index_of(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return found - names.begin();
  std::string list;
  for (const std::string& one : names) list += (list.empty() ? "" : ", ") + one;
  const std::string nearest = nearest_name(name, names);
  fail(ErrorCode::kNotFound, "[experts] there is no expert \"", name, "\", only ", list,
       nearest.empty() ? "" : "; nearest is \"" + nearest + "\"");
}

/// `spec` with these experts, each with the delta it had.
spec::MixtureSpec with_names(spec::MixtureSpec spec, std::vector<std::string> names) {
  const double scaling = spec.scaling();
  spec.experts.adapters.clear();  // what they began as
  spec.experts.count = std::ssize(names);
  spec.experts.names = std::move(names);
  if (spec.scaling() != scaling)
    spec.experts.alpha = spec.experts.effective_alpha() * scaling / spec.scaling();
  std::erase_if(spec.experts.frozen, [&](const std::string& name) {
    const std::vector<std::string>& left = spec.experts.names;
    return std::find(left.begin(), left.end(), name) == left.end();
  });
  return spec;
}

/// Expert e of the result is expert sources[e] of `from`, or a new one that does nothing yet.
std::unique_ptr<Mixture> rebuild(const Mixture& from,
                                 const nn::Sockets& sockets,
                                 spec::MixtureSpec spec,
                                 const std::vector<int64_t>& sources) {
  const c10::NoGradGuard no_grad;
  spec::check_mixture(spec, "experts");
  auto to = std::make_unique<Mixture>(std::move(spec), sockets, /*seed=*/0,
                                      from.parameters().front().tensor.scalar_type());
  const auto copy_all = [](const std::vector<const ExpertBank*>& given,
                           const std::vector<const ExpertBank*>& own,
                           const std::vector<int64_t>& which) {
    for (size_t i = 0; i < own.size(); ++i) copy_bank(*given[i], *own[i], which);
  };
  copy_all(from.expert_banks(), to->expert_banks(), sources);
  copy_all(from.plain_expert_banks(), to->plain_expert_banks(), {0});
  const auto gates = to->gates();
  for (size_t i = 0; i < gates.size(); ++i) copy_gate(*from.gates()[i], *gates[i], sources);
  return to;
}

std::vector<int64_t> all_of(const Mixture& mixture) {
  std::vector<int64_t> sources;
  for (int64_t e = 0; e < mixture.spec().experts.count; ++e) sources.push_back(e);
  return sources;
}

}  // namespace

void check_changeable(const spec::MixtureSpec& spec) {
  const auto refuse = [&](const std::string& why) {
    fail(ErrorCode::kUnsupported, "[experts] experts of ", spec.method,
         " cannot be changed one by one: ", why);
  };
  if (!spec.has_gate()) refuse("it has no router");
  if (spec.experts.kind != spec::ExpertKind::kLora)
    refuse(concat("they are no LoRAs of their own but ", enum_name(spec.experts.kind)));
  if (!spec.experts.count_by_layer.empty()) refuse("layers have different numbers of them");
  const bool has_rows =
      spec.gate.net == spec::GateNet::kLinear || spec.gate.net == spec::GateNet::kCosine;
  if (!has_rows)
    refuse(concat("its gates are ", enum_name(spec.gate.net), ", and have no row per expert"));
  if (spec.gate.init_bias) refuse("its gates have a bias for each");
  if (spec.has_prompts()) refuse("they learned behind the prompts of a bank");
  if (spec.gate.source != spec::GateSource::kInput &&
      spec.gate.source != spec::GateSource::kBlockInput)
    refuse(concat("its gates read ", enum_name(spec.gate.source)));
}

std::unique_ptr<Mixture> with_expert_added(const Mixture& mixture,
                                           const nn::Sockets& sockets,
                                           const std::string& name,
                                           const std::filesystem::path& adapter,
                                           const GateRows& rows) {
  check_changeable(mixture.spec());
  std::vector<std::string> names = mixture.spec().expert_names();
  LMOE_CHECK_ARG(std::find(names.begin(), names.end(), name) == names.end(),
                 "[experts] there is an expert \"", name, "\" already; hint: replace");
  names.push_back(name);
  std::vector<int64_t> sources = all_of(mixture);
  sources.push_back(kNewExpert);
  auto changed = rebuild(mixture, sockets, with_names(mixture.spec(), std::move(names)), sources);
  load_adapter(changed->spec(), changed->expert_banks(), io::read_peft_folder(adapter), adapter,
               std::ssize(sources) - 1, OtherScaling::kIntoB);
  const c10::NoGradGuard no_grad;
  for (const auto& gate : changed->gates()) {
    for (size_t s = 0; s < gate->sites().size(); ++s) {
      const auto row = rows.find(gate->sites()[s].name);
      if (row == rows.end()) {
        LMOE_CHECK_ARG(mixture.spec().gate.net != spec::GateNet::kCosine,
                       "[experts] a cosine gate needs a key for \"", name,
                       "\", which samples of what it is for give");
        continue;
      }
      gate_rows(*gate)
          .select(0, static_cast<int64_t>(s))
          .select(0, gate->experts() - 1)
          .copy_(row->second);
    }
  }
  return changed;
}

std::unique_ptr<Mixture> with_expert_removed(const Mixture& mixture,
                                             const nn::Sockets& sockets,
                                             const std::string& name) {
  check_changeable(mixture.spec());
  std::vector<std::string> names = mixture.spec().expert_names();
  const int64_t index = index_of(names, name);
  LMOE_CHECK_ARG(names.size() > 1, "[experts] \"", name, "\" is the last expert");
  LMOE_CHECK_ARG(index >= mixture.spec().private_total(), "[experts] \"", name,
                 "\" belongs to a task; without it the next one would");
  names.erase(names.begin() + index);
  std::vector<int64_t> sources = all_of(mixture);
  sources.erase(sources.begin() + index);
  return rebuild(mixture, sockets, with_names(mixture.spec(), std::move(names)), sources);
}

std::unique_ptr<Mixture> with_expert_replaced(const Mixture& mixture,
                                              const nn::Sockets& sockets,
                                              const std::string& name,
                                              const std::filesystem::path& adapter) {
  check_changeable(mixture.spec());
  const std::vector<std::string> names = mixture.spec().expert_names();
  const int64_t index = index_of(names, name);
  auto changed = rebuild(mixture, sockets, with_names(mixture.spec(), names), all_of(mixture));
  load_adapter(changed->spec(), changed->expert_banks(), io::read_peft_folder(adapter), adapter,
               index, OtherScaling::kIntoB);
  return changed;
}

std::unique_ptr<Mixture> with_expert_frozen(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            const std::string& name) {
  check_changeable(mixture.spec());
  const std::vector<std::string> names = mixture.spec().expert_names();
  index_of(names, name);
  spec::MixtureSpec spec = with_names(mixture.spec(), names);
  std::vector<std::string>& frozen = spec.experts.frozen;
  LMOE_CHECK_ARG(std::find(frozen.begin(), frozen.end(), name) == frozen.end(), "[experts] \"",
                 name, "\" is frozen already");
  frozen.push_back(name);
  return rebuild(mixture, sockets, std::move(spec), all_of(mixture));
}

}  // namespace lmoe::mixture
