#include "mixture/middle_stage.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {

at::Tensor middle_stage(const at::Tensor& down, const at::Tensor& weights, spec::Apply apply) {
  const at::Tensor w = weights.unsqueeze(-1);
  const at::Tensor scaled = w * down;
  if (apply == spec::Apply::kDeltas) return scaled;
  return w * scaled.sum(/*dim=*/2, /*keepdim=*/true);
}

}  // namespace lmoe::mixture
