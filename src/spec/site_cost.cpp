#include "spec/site_cost.h"

#include <algorithm>

namespace lmoe::spec {
namespace {

/// Numbers of A, of B of all experts, and of what else is trained.
struct Sizes {
  int64_t a = 0, b = 0, other = 0;
};

Sizes sizes(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts) {
  const int64_t rank = spec.experts.rank;
  switch (spec.experts.kind) {
    case ExpertKind::kLora:
    case ExpertKind::kRankOne:
      return {experts * rank * in, experts * rank * out};
    case ExpertKind::kSharedA:
      return {rank * in, experts * rank * out};
    case ExpertKind::kCore:
      return {rank * in, rank * out, experts * rank * rank};
  }
  return {};
}

}  // namespace

SiteCost experts_cost(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts) {
  const Sizes all = sizes(spec, in, out, experts);
  const Sizes one_token = sizes(spec, in, out, std::min(spec.active_experts(), experts));
  // A gate that reads A x needs it of all experts.
  int64_t down = spec.gate.source == GateSource::kRankActivation ? all.a : one_token.a;
  if (spec.experts.a_density)
    down = static_cast<int64_t>(static_cast<double>(down) * *spec.experts.a_density);
  return {(spec.experts.train_a ? all.a : 0) + all.b + all.other,
          down + one_token.b + one_token.other};
}

SiteCost gate_cost(const MixtureSpec& spec, int64_t width, int64_t experts) {
  if (!spec.has_gate() || spec.gate.net == GateNet::kSelf) return {};
  const int64_t hidden = spec.gate.hidden_size;
  const int64_t weights =
      spec.gate.net == GateNet::kMlp ? hidden * (width + experts) : width * experts;
  return {weights, weights};
}

}  // namespace lmoe::spec
