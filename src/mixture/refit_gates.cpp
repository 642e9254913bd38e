#include "mixture/refit_gates.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "mixture/change_experts.h"
#include "mixture/cluster_gate.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"

namespace lmoe::mixture {
namespace {

at::ScalarType type_of(const Mixture& mixture) {
  return mixture.parameters().front().tensor.scalar_type();
}

/// The change leaves B A of every expert as large as it was.
void keep_scaling(spec::MixtureSpec& spec, double scaling) {
  if (spec.scaling() != scaling)
    spec.experts.alpha = spec.experts.effective_alpha() * scaling / spec.scaling();
}

/// Expert `first` + e of `from` becomes expert e.
void copy_experts(const std::vector<const ExpertBank*>& from,
                  const std::vector<const ExpertBank*>& to,
                  int64_t first) {
  for (size_t i = 0; i < to.size(); ++i) {
    for (size_t t = 0; t < to[i]->targets().size(); ++t) {
      for (int64_t e = 0; e < to[i]->experts(); ++e) {
        const ExpertFactors given = from[i]->folder_factors(t, first + e);
        const ExpertFactors own = to[i]->folder_factors(t, e);
        own.a.copy_(given.a);
        own.b.copy_(given.b);
        if (own.magnitude.defined()) own.magnitude.copy_(given.magnitude);
      }
    }
  }
}

std::unique_ptr<Mixture> rebuilt(const Mixture& from,
                                 const nn::Sockets& sockets,
                                 const spec::MixtureSpec& spec,
                                 int64_t first_expert) {
  auto to = std::make_unique<Mixture>(spec, sockets, /*seed=*/0, type_of(from));
  copy_experts(from.expert_banks(), to->expert_banks(), first_expert);
  copy_experts(from.plain_expert_banks(), to->plain_expert_banks(), 0);
  return to;
}

spec::MixtureSpec top_1_spec(spec::MixtureSpec spec) {
  LMOE_CHECK_ARG(spec.select.private_experts == 0,
                 "[experts] refit: some experts belong to tasks, and gates do not choose them");
  const double scaling = spec.scaling();
  spec.select = {spec::SelectKind::kTopK, 1};
  spec.normalize = spec::Normalize::kRenormalize;
  spec.bias = {};
  spec.experts.adapters.clear();  // what they began as
  keep_scaling(spec, scaling);
  return spec;
}

}  // namespace

DocumentContexts::DocumentContexts(const Mixture& mixture) {
  const spec::MixtureSpec& spec = mixture.spec();
  check_changeable(spec);
  const bool fits = spec.gate.net == spec::GateNet::kLinear &&
                    spec.gate.pool == spec::GatePool::kNone && spec.select.private_experts == 0 &&
                    !spec.select.capacity && !spec.schedule.staged;
  if (!fits)
    fail(ErrorCode::kUnsupported,
         "[experts] refit: a linear gate gives each token one expert: expected gate.net linear, no "
         "gate.pool, select.private_experts, select.capacity or schedule.staged");
  const std::vector<SiteInfo> sites = mixture.sites();
  middle_site_ = sites[sites.size() / 2].name;
}

void DocumentContexts::add(const nn::RouterLog& log) {
  for (const nn::GateRecord& record : log.records) {
    LMOE_CHECK_ARG(record.input.defined(), "[experts] the router log keeps no inputs");
    means_[record.site].push_back(record.input.detach().to(at::kDouble).mean(/*dim=*/0));
  }
  ++documents_;
}

at::Tensor DocumentContexts::of(const std::string& site) const {
  return at::stack(means_.at(site));
}

std::unique_ptr<Mixture> expert_alone(const Mixture& mixture,
                                      const nn::Sockets& sockets,
                                      int64_t expert) {
  const c10::NoGradGuard no_grad;
  spec::MixtureSpec spec = mixture.spec();
  const double scaling = spec.scaling();
  spec.experts.names = {spec.expert_names().at(static_cast<size_t>(expert))};
  spec.experts.count = 1;
  spec.experts.adapters.clear();
  spec.experts.frozen.clear();
  spec.gate = {};
  spec.gate.source = spec::GateSource::kConstant;
  spec.select = {};
  spec.normalize = spec::Normalize::kConstant;
  spec.losses.clear();
  spec.bias = {};
  spec.schedule = {};
  keep_scaling(spec, scaling);
  return rebuilt(mixture, sockets, spec, expert);
}

RefittedGates with_gates_refitted(const Mixture& mixture,
                                  const nn::Sockets& sockets,
                                  const DocumentContexts& contexts,
                                  const at::Tensor& losses,
                                  double ridge) {
  check_changeable(mixture.spec());
  const c10::NoGradGuard no_grad;
  const int64_t count = mixture.spec().experts.count;
  LMOE_CHECK_ARG(contexts.size() >= count, "[experts] refit: given ", contexts.size(),
                 " documents, expected at least one for each of ", count, " experts");
  const at::Tensor middle = contexts.of_middle();
  const auto clusters = cluster_contexts(middle, distant_contexts(middle, count));
  LMOE_CHECK_ARG(clusters.has_value(), "[experts] refit: the ", contexts.size(),
                 " documents do not fall into ", count,
                 " clusters, one for each expert: given too few kinds of them, or too much alike; "
                 "the gates stay as they are");
  RefittedGates result;
  result.mixture = rebuilt(mixture, sockets, top_1_spec(mixture.spec()), 0);
  result.expert_of = match_experts(losses, clusters->labels);
  const at::Tensor experts =
      at::tensor(result.expert_of, at::kLong).index_select(0, clusters->labels);
  for (const auto& gate : result.mixture->gates()) {
    const auto sites = static_cast<int64_t>(gate->sites().size());
    const at::Tensor rows = gate->tensors().front().tensor.view({sites, count, -1});
    for (int64_t s = 0; s < sites; ++s)
      rows[s].copy_(
          fit_rows(contexts.of(gate->sites()[static_cast<size_t>(s)].name), experts, count, ridge));
  }
  const auto* labels = clusters->labels.const_data_ptr<int64_t>();
  result.cluster_of.assign(labels, labels + clusters->labels.numel());
  return result;
}

}  // namespace lmoe::mixture
