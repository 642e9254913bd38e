#include "mixture/split_experts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "mixture/change_experts.h"
#include "mixture/copy_experts.h"

namespace lmoe::mixture {
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

}  // namespace lmoe::mixture
