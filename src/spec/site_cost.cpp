#include "spec/site_cost.h"

#include <algorithm>

namespace lmoe::spec {
namespace {

int64_t ceil_divide(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// One A and B as large as the smallest kernel asks; per token, `active` average experts.
SiteCost kronecker_cost(const ExpertsSpec& experts, int64_t in, int64_t out, int64_t active) {
  const std::vector<int64_t>& sizes = experts.kernel_sizes;
  const int64_t least = *std::min_element(sizes.begin(), sizes.end());
  int64_t kernels = 0, multiply_adds = 0;
  for (const int64_t size : sizes) {
    kernels += size * size;
    multiply_adds += experts.rank * size * (ceil_divide(in, size) + size + ceil_divide(out, size));
  }
  return {experts.rank * (ceil_divide(in, least) + ceil_divide(out, least)) + kernels,
          active * multiply_adds / static_cast<int64_t>(sizes.size())};
}

/// Level l lifts to (l + 1) x count x rank numbers, once for each expert, and carries up what came
/// from below once for each path.
SiteCost residual_cost(const ExpertsSpec& experts, int64_t in, int64_t out) {
  const int64_t step = experts.count * experts.rank, top = experts.levels * step;
  int64_t lift = 0, carry = 0, carried = 0, paths = 1;
  for (int64_t level = experts.levels - 1; level >= 0; --level) {
    paths *= experts.count;
    lift += step * (level + 1) * step;
    carry += level * step * (level + 1) * step;
    carried += paths * level * step * (level + 1) * step;
  }
  return {top * (in + out) + lift + carry, top * (in + out) + lift + carried};
}

/// Per depth of the tree: one hidden layer, shared by all parents, then the keys.
SiteCost tree_cost(const MixtureSpec& spec, int64_t width, int64_t experts) {
  const int64_t hidden = spec.gate.hidden_size;
  SiteCost cost = {hidden * (width + 1), hidden * width};
  int64_t parents = 1;
  for (int64_t depth = 0; depth < spec.experts.levels; ++depth) {
    cost.parameters += hidden * (hidden * (depth + 2) + 2 + experts);
    cost.multiply_adds += hidden * hidden + parents * hidden * (hidden + experts);
    parents *= experts;
  }
  return cost;
}

/// Of a GRU whose input is as wide as its state, without biases.
int64_t recurrent_cell_weights(const MixtureSpec& spec) {
  return 6 * spec.gate.hidden_size * spec.gate.hidden_size;
}

/// Numbers of A, of B of all experts, and of what else is trained.
struct Sizes {
  int64_t a = 0, b = 0, other = 0;
};

Sizes sizes(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts) {
  const int64_t rank = spec.experts.rank;
  switch (spec.experts.kind) {
    case ExpertKind::kLora:
    case ExpertKind::kRankOne:
      return {experts * rank * in, experts * rank * out, spec.experts.use_dora ? experts * out : 0};
    case ExpertKind::kSharedA:
      return {rank * in, experts * rank * out};
    case ExpertKind::kCore:
      return {rank * in, rank * out, experts * rank * rank};
    case ExpertKind::kKronecker:
    case ExpertKind::kResidual:
      break;  // by formulas of their own
  }
  return {};
}

}  // namespace

SiteCost experts_cost(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts) {
  const int64_t active = std::min(spec.active_experts(), experts);
  if (spec.experts.kind == ExpertKind::kKronecker)
    return kronecker_cost(spec.experts, in, out, active);
  if (spec.experts.kind == ExpertKind::kResidual) return residual_cost(spec.experts, in, out);
  const Sizes all = sizes(spec, in, out, experts);
  const Sizes one_token = sizes(spec, in, out, active);
  // A gate that reads A x needs it of all experts.
  int64_t down = spec.gate.source == GateSource::kRankActivation ? all.a : one_token.a;
  if (spec.experts.a_density)
    down = static_cast<int64_t>(static_cast<double>(down) * *spec.experts.a_density);
  return {(spec.experts.train_a ? all.a : 0) + all.b + all.other,
          down + one_token.b + one_token.other};
}

SiteCost gate_cost(const MixtureSpec& spec, int64_t width, int64_t experts) {
  if (!spec.has_gate() || spec.gate.net == GateNet::kSelf) return {};
  if (spec.gate.net == GateNet::kScalars) return {experts, 0};
  if (spec.gate.net == GateNet::kNearest)
    return {0, (spec.gate.references + spec.gate.neighbours) * width};
  if (spec.gate.net == GateNet::kTree) return tree_cost(spec, width, experts);
  const int64_t hidden = spec.gate.hidden_size;
  const bool has_hidden = spec.gate.net == GateNet::kMlp || spec.gate.net == GateNet::kRecurrent;
  const int64_t weights = has_hidden ? hidden * (width + experts) : width * experts;
  const int64_t steps = spec.gate.net == GateNet::kRecurrent ? recurrent_cell_weights(spec) : 0;
  return {weights + (spec.gate.init_bias ? experts : 0), weights + steps};
}

SiteCost prompts_cost(const PromptsSpec& prompts, int64_t width) {
  return {prompts.count * (prompts.length + (prompts.trains_keys() ? 1 : 0)) * width, 0};
}

SiteCost common_gate_cost(const MixtureSpec& spec) {
  if (spec.gate.net != GateNet::kRecurrent) return {};
  return {recurrent_cell_weights(spec) + 6 * spec.gate.hidden_size, 0};
}

}  // namespace lmoe::spec
