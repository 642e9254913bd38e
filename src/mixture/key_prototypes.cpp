#include "mixture/key_prototypes.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "mixture/cluster_gate.h"
#include "mixture/cosines.h"

namespace lmoe::mixture {

at::Tensor key_prototypes(const at::Tensor& features, int64_t count) {
  constexpr int kMostRounds = 20;
  const at::Tensor points = unit(features.detach().to(at::kDouble));
  at::Tensor centres = distant_contexts(points, std::min(count, points.size(0)));
  at::Tensor labels;
  for (int round = 0; round < kMostRounds; ++round) {
    const at::Tensor nearest = at::mm(points, centres.t()).argmax(/*dim=*/1);
    if (labels.defined() && at::equal(nearest, labels)) break;
    labels = nearest;
    const at::Tensor sums = at::zeros_like(centres).index_add_(/*dim=*/0, labels, points);
    const at::Tensor sizes = at::bincount(labels, /*weights=*/{}, centres.size(0));
    centres = at::where(sizes.gt(0).unsqueeze(1), unit(sums), centres);
  }
  return centres;
}

}  // namespace lmoe::mixture
