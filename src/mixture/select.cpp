#include "mixture/select.h"

#include <ATen/ATen.h>

#include "mixture/entropy.h"

namespace lmoe::mixture {
namespace {

/// Positions of the experts, best first; among equals the lower index.
at::Tensor best_first(const at::Tensor& ranking) {
  return std::get<1>(at::sort(ranking, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
}

at::Tensor top_k(const at::Tensor& ranking, int64_t k) {
  const at::Tensor first_k = best_first(ranking).narrow(/*dim=*/-1, /*start=*/0, k);
  return at::zeros(ranking.sizes(), ranking.options().dtype(at::kBool))
      .scatter_(/*dim=*/-1, first_k, /*value=*/true);
}

at::Tensor at_least(const at::Tensor& selected,
                    const Scores& scores,
                    const spec::SelectSpec& select) {
  return select.k ? selected.logical_or(top_k(scores.ranking, *select.k)) : selected;
}

at::Tensor top_p(const Scores& scores, const spec::SelectSpec& select) {
  const at::Tensor order = best_first(scores.ranking);
  const at::Tensor p = scores.probabilities.detach().gather(/*dim=*/-1, order);
  at::Tensor sums = p.cumsum(/*dim=*/-1);
  if (select.include_crossing)  // what counts is the sum before an expert
    sums = at::constant_pad_nd(sums.narrow(/*dim=*/-1, 0, p.size(-1) - 1), {1, 0});
  // Rounding may take the last sum above 1.
  const at::Tensor within = sums.clamp_max(1.0).le(*select.top_p);
  return at_least(at::empty_like(within).scatter_(/*dim=*/-1, order, within), scores, select);
}

at::Tensor undecided(const Scores& scores, const spec::SelectSpec& select) {
  return entropy(scores.probabilities.detach(), select.entropy).gt(*select.threshold);
}

}  // namespace

at::Tensor select_experts(const Scores& scores, const spec::SelectSpec& select) {
  switch (select.kind) {
    case spec::SelectKind::kAll:
      return {};
    case spec::SelectKind::kTopK:
    case spec::SelectKind::kSample:
      return top_k(scores.ranking, *select.k);
    case spec::SelectKind::kTopP:
      return top_p(scores, select);
    case spec::SelectKind::kThreshold:
      return at_least(scores.values.detach().ge(*select.threshold), scores, select);
    case spec::SelectKind::kEntropySwitch:
      return top_p(scores, select).logical_or(undecided(scores, select).unsqueeze(/*dim=*/-1));
  }
  return {};
}

}  // namespace lmoe::mixture
