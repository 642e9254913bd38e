#include "mixture/select.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "mixture/entropy.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {
namespace {

/// Positions of the experts, best first; among equals the lower index.
at::Tensor best_first(const at::Tensor& ranking) {
  return std::get<1>(at::sort(ranking, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
}

/// Sets `selected` for the k best of a row; NaN is best, as where a row is sorted.
template <class W>
void select_best(const W* ranking, int64_t experts, int64_t k, bool* selected) {
  for (int64_t chosen = 0; chosen < k; ++chosen) {
    int64_t best = -1;
    for (int64_t e = 0; e < experts; ++e) {
      if (selected[e]) continue;
      const bool is_better = best < 0 || ranking[e] > ranking[best] ||
                             (std::isnan(ranking[e]) && !std::isnan(ranking[best]));
      if (is_better) best = e;
    }
    selected[best] = true;
  }
}

/// Looks for a few best ones in each row, where sorting all costs as much as a layer's norms.
at::Tensor top_k(const at::Tensor& ranking, int64_t k) {
  if (!ranking.device().is_cpu())
    return at::zeros(ranking.sizes(), ranking.options().dtype(at::kBool))
        .scatter_(/*dim=*/-1, best_first(ranking).narrow(/*dim=*/-1, 0, k), /*value=*/true);
  const at::Tensor rows = ranking.contiguous();
  const int64_t experts = rows.size(-1), count = rows.numel() / experts;
  LMOE_CHECK_ARG(k <= experts, "[route] k: given ", k, " of ", experts, " experts");
  at::Tensor selected = at::zeros(rows.sizes(), rows.options().dtype(at::kBool));
  nn::dispatch_dtype(rows, [&](auto tag) {
    using W = nn::accumulate_t<typename decltype(tag)::type>;
    nn::parallel_rows(count, k * experts, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        select_best(rows.const_data_ptr<W>() + row * experts, experts, k,
                    selected.data_ptr<bool>() + row * experts);
    });
  });
  return selected;
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
