#include "mixture/select.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {
namespace {

at::Tensor top_k(const at::Tensor& ranking, int64_t k) {
  const at::Tensor order =
      std::get<1>(at::sort(ranking, /*stable=*/true, /*dim=*/-1, /*descending=*/true));
  const at::Tensor first_k = order.narrow(/*dim=*/-1, /*start=*/0, k);
  return at::zeros(ranking.sizes(), ranking.options().dtype(at::kBool))
      .scatter_(/*dim=*/-1, first_k, /*value=*/true);
}

}  // namespace

at::Tensor select_experts(const Scores& scores, const spec::SelectSpec& select) {
  switch (select.kind) {
    case spec::SelectKind::kAll:
      return {};
    case spec::SelectKind::kTopK:
    case spec::SelectKind::kSample:
      return top_k(scores.ranking, *select.k);
  }
  return {};
}

}  // namespace lmoe::mixture
