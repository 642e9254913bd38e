#include "mixture/change_experts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "mixture/gate.h"
#include "mixture/load_adapter.h"

namespace lmoe::mixture {
namespace {

constexpr int64_t kNew = -1;

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

void copy_bank(const ExpertBank& from, const ExpertBank& to, const std::vector<int64_t>& sources) {
  for (size_t t = 0; t < to.targets().size(); ++t) {
    for (size_t e = 0; e < sources.size(); ++e) {
      if (sources[e] == kNew) continue;
      const ExpertFactors given = from.folder_factors(t, sources[e]);
      const ExpertFactors own = to.folder_factors(t, static_cast<int64_t>(e));
      own.a.copy_(given.a);
      own.b.copy_(given.b);
      if (own.magnitude.defined()) own.magnitude.copy_(given.magnitude);
    }
  }
}

/// [G, E, D] of a linear gate, or the keys of a cosine one.
at::Tensor rows_of(const Gate& gate) {
  const auto sites = static_cast<int64_t>(gate.sites().size());
  return gate.tensors().front().tensor.view({sites, gate.experts(), gate.input_width()});
}

void copy_gate(const Gate& from, const Gate& to, const std::vector<int64_t>& sources) {
  const at::Tensor given = rows_of(from), own = rows_of(to);
  for (size_t e = 0; e < sources.size(); ++e) {
    const at::Tensor row = own.select(/*dim=*/1, static_cast<int64_t>(e));
    if (sources[e] == kNew)
      row.zero_();
    else
      row.copy_(given.select(/*dim=*/1, sources[e]));
    if (!to.bias().defined()) continue;
    to.bias()
        .select(/*dim=*/1, static_cast<int64_t>(e))
        .copy_(sources[e] == kNew ? from.bias().mean(at::IntArrayRef{1})
                                  : from.bias().select(/*dim=*/1, sources[e]));
  }
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
  sources.push_back(kNew);
  auto changed = rebuild(mixture, sockets, with_names(mixture.spec(), std::move(names)), sources);
  load_adapter(changed->spec(), changed->expert_banks(), io::read_peft_folder(adapter), adapter,
               std::ssize(sources) - 1, OtherScaling::kIntoB);
  const c10::NoGradGuard no_grad;
  for (const auto& gate : changed->gates()) {
    for (size_t s = 0; s < gate->sites().size(); ++s) {
      const auto row = rows.find(gate->sites()[s].name);
      if (row == rows.end()) continue;
      rows_of(*gate)
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

namespace {

void check_splits(const spec::MixtureSpec& spec, int64_t parts) {
  const auto refuse = [](const std::string& why) {
    fail(ErrorCode::kUnsupported, "[experts] experts cannot be split without a change: ", why);
  };
  check_changeable(spec);
  LMOE_CHECK_ARG(parts >= 2 && spec.experts.rank % parts == 0, "[experts] split: given ", parts,
                 " parts, expected a divisor of the rank, ", spec.experts.rank);
  if (spec.apply != spec::Apply::kDeltas)
    refuse(concat("they are averaged by apply ", enum_name(spec.apply)));
  if (spec.experts.use_dora) refuse("DoRA measures the whole of each");
  if (spec.select.kind != spec::SelectKind::kAll && spec.select.kind != spec::SelectKind::kTopK)
    refuse(concat("how many take part follows from select.kind ", enum_name(spec.select.kind)));
  if (spec.normalize == spec::Normalize::kSoftmaxTwice) refuse("normalize softmax_twice");
  if (spec.select.private_experts > 0) refuse("some belong to tasks");
}

/// True when equal logits share one weight, so that each part gets 1 / parts of it.
bool shares_weight(spec::Normalize normalize) {
  return normalize == spec::Normalize::kSoftmax || normalize == spec::Normalize::kRenormalize ||
         normalize == spec::Normalize::kSoftmaxSelected;
}

spec::MixtureSpec split_spec(spec::MixtureSpec spec, int64_t parts) {
  const double scaling = spec.scaling() * (shares_weight(spec.normalize) ? parts : 1);
  const auto divided = [&](const std::vector<std::string>& names) {
    std::vector<std::string> all;
    for (const std::string& name : names)
      for (int64_t part = 0; part < parts; ++part) all.push_back(concat(name, ".", part));
    return all;
  };
  spec.experts.names = divided(spec.expert_names());
  spec.experts.frozen = divided(spec.experts.frozen);
  spec.experts.adapters.clear();
  spec.experts.count *= parts;
  spec.experts.rank /= parts;
  if (spec.select.k) *spec.select.k *= parts;
  spec.experts.alpha = spec.experts.effective_alpha() * scaling / spec.scaling();
  return spec;
}

void copy_parts(const ExpertBank& from, const ExpertBank& to, int64_t parts) {
  for (size_t t = 0; t < to.targets().size(); ++t) {
    for (int64_t e = 0; e < to.experts(); ++e) {
      const ExpertFactors given = from.folder_factors(t, e / parts);
      const ExpertFactors own = to.folder_factors(t, e);
      const int64_t rank = own.a.size(0), first = (e % parts) * rank;
      own.a.copy_(given.a.narrow(/*dim=*/0, first, rank));
      own.b.copy_(given.b.narrow(/*dim=*/1, first, rank));
    }
  }
}

}  // namespace

std::unique_ptr<Mixture> with_experts_split(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            int64_t parts) {
  check_splits(mixture.spec(), parts);
  const c10::NoGradGuard no_grad;
  spec::MixtureSpec spec = split_spec(mixture.spec(), parts);
  std::vector<int64_t> sources;
  for (int64_t e = 0; e < spec.experts.count; ++e) sources.push_back(e / parts);
  auto split = std::make_unique<Mixture>(std::move(spec), sockets, /*seed=*/0,
                                         mixture.parameters().front().tensor.scalar_type());
  const auto given = mixture.expert_banks(), own = split->expert_banks();
  for (size_t i = 0; i < own.size(); ++i) copy_parts(*given[i], *own[i], parts);
  const auto plain = mixture.plain_expert_banks(), own_plain = split->plain_expert_banks();
  for (size_t i = 0; i < own_plain.size(); ++i) copy_bank(*plain[i], *own_plain[i], {0});
  const auto gates = split->gates();
  for (size_t i = 0; i < gates.size(); ++i) copy_gate(*mixture.gates()[i], *gates[i], sources);
  return split;
}

GateInputs::GateInputs(const Mixture& mixture)
    : are_keys_(mixture.spec().gate.net == spec::GateNet::kCosine) {
  check_changeable(mixture.spec());
  for (const auto& gate : mixture.gates()) {
    const at::Tensor rows = rows_of(*gate).detach();
    for (size_t s = 0; s < gate->sites().size(); ++s)
      sites_[gate->sites()[s].name] = {rows.select(0, static_cast<int64_t>(s)),
                                       at::zeros({gate->input_width()}, at::kDouble)};
  }
}

void GateInputs::add(const nn::RouterLog& log) {
  for (const nn::GateRecord& record : log.records) {
    LMOE_CHECK_ARG(record.input.defined(), "[experts] the router log keeps no inputs");
    Site& site = sites_.at(record.site);
    const at::Tensor input = record.input.detach().to(site.weight.scalar_type());
    site.sum += input.sum(/*dim=*/0, /*keepdim=*/false, at::kDouble);
    site.largest_sum += at::linear(input, site.weight).amax(/*dim=*/1).sum().item<double>();
    site.tokens += input.size(0);
  }
}

GateRows GateInputs::rows() const {
  GateRows rows;
  for (const auto& [name, site] : sites_) {
    const double square = (site.sum * site.sum).sum().item<double>();
    if (square == 0.0) continue;
    if (are_keys_) {
      rows[name] = site.sum / static_cast<double>(site.tokens);
      continue;
    }
    // l m / |m|^2 with m = sum / tokens and l = largest_sum / tokens
    rows[name] = site.sum * (site.largest_sum / square);
  }
  return rows;
}

}  // namespace lmoe::mixture
