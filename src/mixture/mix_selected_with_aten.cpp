#include <ATen/ATen.h>

#include "mixture/with_aten.h"
#include "nn/dispatch.h"

namespace lmoe::mixture::with_aten {

at::Tensor chosen_weights(const at::Tensor& weights) {
  return weights.masked_fill(weights.detach().eq(0), 0.0);
}

std::vector<at::Tensor> mix_selected(const at::Tensor& x,
                                     const at::Tensor& weights,
                                     const at::Tensor& a,
                                     const std::vector<at::Tensor>& ups,
                                     const std::vector<at::Tensor>& outputs,
                                     double scaling) {
  const at::ScalarType wide = nn::accumulate_dtype(x.scalar_type());
  const auto projections = static_cast<int64_t>(ups.size());
  const at::Tensor chosen = chosen_weights(weights.to(wide));
  const at::Tensor u = at::linear(x.to(wide), a.to(wide));
  const at::Tensor v = middle_stage(u, chosen, projections, spec::Apply::kDeltas);
  std::vector<at::Tensor> adapted;
  for (size_t p = 0; p < ups.size(); ++p) {
    const int64_t columns = ups[p].size(1);
    const at::Tensor own = v.narrow(/*dim=*/1, static_cast<int64_t>(p) * columns, columns);
    const at::Tensor delta = at::linear(own, ups[p].to(wide)) * scaling;
    const at::Tensor& output = outputs[p];
    adapted.push_back(output.add_(delta.to(output.scalar_type())));
  }
  return adapted;
}

}  // namespace lmoe::mixture::with_aten
