#include "mixture/select.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {

at::Tensor select_experts(const at::Tensor& logits, const spec::SelectSpec& select) {
  if (select.kind == spec::SelectKind::kAll) return {};
  const at::Tensor order =
      std::get<1>(at::sort(logits.detach(), /*stable=*/true, /*dim=*/-1, /*descending=*/true));
  const at::Tensor first_k = order.narrow(/*dim=*/-1, /*start=*/0, *select.k);
  return at::zeros(logits.sizes(), logits.options().dtype(at::kBool))
      .scatter_(/*dim=*/-1, first_k, /*value=*/true);
}

}  // namespace lmoe::mixture
