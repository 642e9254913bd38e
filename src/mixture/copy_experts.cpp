#include "mixture/copy_experts.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lmoe::mixture {

void copy_bank(const ExpertBank& from, const ExpertBank& to, const std::vector<int64_t>& sources) {
  for (size_t t = 0; t < to.targets().size(); ++t) {
    for (size_t e = 0; e < sources.size(); ++e) {
      if (sources[e] == kNewExpert) continue;
      const ExpertFactors given = from.folder_factors(t, sources[e]);
      const ExpertFactors own = to.folder_factors(t, static_cast<int64_t>(e));
      own.a.copy_(given.a);
      own.b.copy_(given.b);
      if (own.magnitude.defined()) own.magnitude.copy_(given.magnitude);
    }
  }
}

at::Tensor gate_rows(const Gate& gate) {
  const auto sites = static_cast<int64_t>(gate.sites().size());
  return gate.tensors().front().tensor.view({sites, gate.experts(), gate.input_width()});
}

void copy_gate(const Gate& from, const Gate& to, const std::vector<int64_t>& sources) {
  const at::Tensor given = gate_rows(from), own = gate_rows(to);
  for (size_t e = 0; e < sources.size(); ++e) {
    const at::Tensor row = own.select(/*dim=*/1, static_cast<int64_t>(e));
    if (sources[e] == kNewExpert)
      row.zero_();
    else
      row.copy_(given.select(/*dim=*/1, sources[e]));
    if (!to.bias().defined()) continue;
    to.bias()
        .select(/*dim=*/1, static_cast<int64_t>(e))
        .copy_(sources[e] == kNewExpert ? from.bias().mean(at::IntArrayRef{1})
                                        : from.bias().select(/*dim=*/1, sources[e]));
  }
  if (!to.active_experts().defined()) return;
  const auto active = static_cast<int64_t>(from.active_experts().item<float>());
  const auto left = std::count_if(sources.begin(), sources.end(), [&](int64_t source) {
    return source != kNewExpert && source < active;
  });
  to.let_take_part(std::max<int64_t>(left, 1));
}

}  // namespace lmoe::mixture
