#include "mixture/expert_slices.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {

ExpertSlices::ExpertSlices(const ExpertBank& bank, at::ScalarType dtype)
    : scaling_(bank.scaling()) {
  const auto projections = static_cast<int64_t>(bank.targets().size());
  const int64_t experts = bank.experts();
  const int64_t rank = bank.a().size(0) / (projections * experts);
  // unbind and split give one gradient for all experts, zero for those without tokens.
  a_ = bank.a().to(dtype).view({projections, experts, rank, bank.in()}).unbind(/*dim=*/1);
  for (size_t p = 0; p < bank.targets().size(); ++p)
    b_.push_back(bank.b(p).to(dtype).split(rank, /*dim=*/1));
}

at::Tensor ExpertSlices::add(int64_t expert,
                             size_t target,
                             const at::Tensor& x,
                             at::Tensor output) const {
  const auto e = static_cast<size_t>(expert);
  const at::Tensor down = at::linear(x, a_[e][static_cast<int64_t>(target)]);
  return output.addmm_(down, b_[target][e].t(), /*beta=*/1, /*alpha=*/scaling_);
}

at::Tensor ExpertSlices::weighted(int64_t expert,
                                  size_t target,
                                  const at::Tensor& x,
                                  const at::Tensor& weights) const {
  const auto e = static_cast<size_t>(expert);
  const at::Tensor down = at::linear(x, a_[e][static_cast<int64_t>(target)]);
  return at::linear(down * (weights * scaling_), b_[target][e]);
}

}  // namespace lmoe::mixture
