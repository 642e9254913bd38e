#include "spec/site_cost.h"

#include <algorithm>

namespace lmoe::spec {

SiteCost experts_cost(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts) {
  const int64_t rank = spec.experts.rank;
  const int64_t active = std::min(spec.active_experts(), experts);
  switch (spec.experts.kind) {
    case ExpertKind::kLora:
    case ExpertKind::kRankOne: {
      const int64_t magnitudes = spec.experts.use_dora ? out : 0;
      return {experts * (rank * (in + out) + magnitudes),
              active * (rank * (in + out) + magnitudes)};
    }
    case ExpertKind::kSharedA:
      return {rank * (in + experts * out), rank * (in + active * out)};
    case ExpertKind::kCore:
      return {rank * (in + out) + experts * rank * rank, rank * (in + out) + active * rank * rank};
  }
  return {};
}

SiteCost gate_cost(const MixtureSpec& spec, int64_t width, int64_t experts) {
  if (!spec.has_gate()) return {};
  const int64_t hidden = spec.gate.hidden_size;
  const int64_t weights =
      spec.gate.net == GateNet::kMlp ? hidden * (width + experts) : width * experts;
  return {weights, weights};
}

}  // namespace lmoe::spec
