#include "mixture/gate_disagreement.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {
namespace {

// Below it the root has no useful gradient.
constexpr double kLeastVariance = 1e-24;

}  // namespace

at::Tensor divided_by_disagreement(const std::vector<at::Tensor>& passes) {
  const at::Tensor all = at::stack(passes);
  const at::Tensor variance = all.var(/*dim=*/at::IntArrayRef{0}, /*unbiased=*/false);
  return all.mean(/*dim=*/0) / (1 + variance.clamp_min(kLeastVariance).sqrt());
}

}  // namespace lmoe::mixture
