#include "train/kept_by_adapters.h"

#include <algorithm>
#include <map>
#include <memory>

#include "mixture/site_bank.h"
#include "mixture/top_k_table.h"

namespace lmoe::train {
namespace {

constexpr int64_t kFloat = 4;
/// Of each expert a gate keeps its logit, twice where something was done to it, and its
/// probability; where experts are chosen whether it was, and what lies between that and its weight.
int64_t numbers_of_choice(const spec::MixtureSpec& spec) {
  using enum spec::Normalize;
  if (spec.select.kind == spec::SelectKind::kSample) return 8;  // with how likely the draw was
  if (spec.normalize == kSumToK) return 6;
  if (spec.normalize == kSoftmaxSelected || spec.normalize == kConstant) return 4;
  return spec.select.kind == spec::SelectKind::kAll && spec.normalize == kSoftmax ? 3 : 5;
}

int64_t ceil_divide(int64_t value, int64_t by) { return (value + by - 1) / by; }

/// Of each side of a kernel the input cut into pieces, once for all projections; of each projection
/// A's product, that of every kernel, and their sum.
int64_t kept_by_kernels(const spec::ExpertsSpec& spec, const AdaptedGroup& group) {
  std::map<int64_t, int64_t> experts_by_size;
  for (const int64_t size : spec.kernel_sizes) ++experts_by_size[size];
  int64_t kept = 0;
  for (const auto& [size, experts] : experts_by_size)
    kept += ceil_divide(group.in, size) * size +
            std::ssize(group.sites) * (experts + 2) * size * spec.rank;
  return kept;
}

/// S'MoRE, of one projection: of each level A's product, what it lifts for every parent and expert,
/// and the sums for the parents. Where several projections share their input, the matrix that
/// carries a level's sums up is copied for each token (at::matmul).
int64_t kept_by_levels(const spec::ExpertsSpec& spec, bool is_alone) {
  const int64_t step = spec.count * spec.rank;
  int64_t kept = 0, parents = 1;
  for (int64_t level = spec.levels - 1; level >= 0; --level) {
    const int64_t width = (level + 1) * step;
    const int64_t lifted = level == 0 ? spec.count : parents * spec.count;
    kept += step + (lifted + parents) * width + (is_alone ? 0 : level * step * width);
    parents *= spec.count;
  }
  return kept;
}

/// Which products compute the experts of each token alone (mixture/site_bank.h).
class ChosenAlone {
 public:
  ChosenAlone(const spec::MixtureSpec& spec, const Activations& activations)
      : spec_(spec),
        activations_(activations),
        table_(spec.has_gate() && mixture::may_select_few(spec) ? mixture::top_k_table()
                                                                : nullptr) {}

  bool operator()(const AdaptedGroup& group) const {
    if (spec_.attach == spec::Attach::kFfnBlock) return true;
    if (!table_) return false;
    const mixture::TopKShape shape = {
        .type = activations_.dtype_bytes == kFloat ? at::kFloat : at::kBFloat16,
        .k = *spec_.select.k,
        .rank = spec_.experts.rank,
        .in = group.in,
        .out = group.out() / std::ssize(group.sites),
        .rows = activations_.tokens};
    return table_->chooses_selected(group.experts(), shape);
  }

 private:
  const spec::MixtureSpec& spec_;
  Activations activations_;
  std::shared_ptr<const mixture::TopKTable> table_;
};

int64_t kept_by_experts(const spec::MixtureSpec& spec,
                        const AdaptedGroup& group,
                        bool are_chosen_alone) {
  const spec::ExpertsSpec& experts = spec.experts;
  const int64_t projections = std::ssize(group.sites), rank = experts.rank;
  switch (experts.kind) {
    case spec::ExpertKind::kLora:
    case spec::ExpertKind::kRankOne: {
      const int64_t computed =
          are_chosen_alone ? std::min(spec.active_experts(), group.experts()) : group.experts();
      // DoRA scales what the frozen projection makes, by one row or by one for each token.
      const int64_t scaled = experts.use_dora ? (spec.has_gate() ? 2 : 1) * group.out() : 0;
      return projections * computed * rank + scaled;
    }
    case spec::ExpertKind::kSharedA:
      return projections * (1 + group.experts()) * rank;
    case spec::ExpertKind::kCore:  // what enters and what leaves the cores
      return projections * 2 * rank;
    case spec::ExpertKind::kKronecker:
      return kept_by_kernels(experts, group);
    case spec::ExpertKind::kResidual:
      return projections * kept_by_levels(experts, projections == 1);
  }
  return 0;
}

/// Of a tree's gate: the input made narrow; of each depth two numbers per parent and width. Where
/// several gates share their input, one of them is copied, and the matrices of each depth are for
/// each token (at::matmul).
int64_t kept_by_tree(const spec::MixtureSpec& spec, int64_t experts, bool is_alone) {
  const int64_t width = spec.gate.hidden_size;
  int64_t kept = width, parents = 1;
  for (int64_t depth = 0; depth < spec.experts.levels; ++depth) {
    kept += 2 * parents * width + (is_alone ? 0 : width * (parents + width + experts));
    parents *= experts;
  }
  return kept;
}

/// Of one gate's net, between its input and its logits.
int64_t kept_by_net(const spec::MixtureSpec& spec, int64_t experts, bool is_alone) {
  switch (spec.gate.net) {
    case spec::GateNet::kMlp:  // before and after the activation
      return 2 * spec.gate.hidden_size;
    case spec::GateNet::kTree:
      return kept_by_tree(spec, experts, is_alone);
    case spec::GateNet::kRecurrent:  // input, products of three, gates and states
      return 9 * spec.gate.hidden_size;
    default:
      return 0;
  }
}

/// Nodes of the tree that choose among their children; 1 for other nets.
int64_t choices(const spec::MixtureSpec& spec, int64_t experts) {
  if (spec.gate.net != spec::GateNet::kTree) return 1;
  int64_t all = 0, parents = 1;
  for (int64_t depth = 0; depth < spec.experts.levels; ++depth, parents *= experts) all += parents;
  return all;
}

/// What the gates of a group copy of their common input: noise and what it was multiplied with,
/// dropout, a direction, and a copy in float32 of a narrower type.
int64_t copied_by_gates(const spec::MixtureSpec& spec, int64_t width, bool is_wide) {
  int64_t copies = is_wide ? 0 : 1;
  if (spec.gate.jitter > 0.0) copies += 2;
  if (spec.gate.input_dropout > 0.0) copies += spec.gate.uncertainty_passes;
  if (spec.gate.net == spec::GateNet::kCosine) copies += 1;
  return copies * width;
}

int64_t kept_by_gates(const spec::MixtureSpec& spec, const AdaptedGroup& group, bool is_wide) {
  const int64_t gates = group.gates(), experts = group.experts();
  if (gates == 0) return 0;
  const int64_t passes = spec.gate.uncertainty_passes;
  const int64_t each = numbers_of_choice(spec) * choices(spec, experts) * experts +
                       passes * kept_by_net(spec, experts, gates == 1);
  const bool reads_wide_input = spec.gate.source == spec::GateSource::kInput ||
                                spec.gate.source == spec::GateSource::kBlockInput;
  const int64_t copied =
      reads_wide_input ? copied_by_gates(spec, *group.sites.front().gate_width, is_wide) : 0;
  const bool asks = spec.gate.net == spec::GateNet::kNearest;  // distances, one memory for all
  return gates * each + copied + (asks ? spec.gate.references : 0);
}

/// Of the one gate of a model that has no others.
int64_t kept_by_model_gate(const spec::MixtureSpec& spec,
                           const spec::DecoderShape& shape,
                           const std::vector<AdaptedGroup>& groups) {
  int64_t kept = shape.hidden_size;
  for (const AdaptedGroup& group : groups) {
    kept += std::ssize(group.sites) * numbers_of_choice(spec) * group.experts();
    if (spec.gate.layerwise)
      kept += std::ssize(group.sites) * kept_by_net(spec, group.experts(), /*is_alone=*/false);
  }
  if (spec.gate.net == spec::GateNet::kNearest) return kept + spec.gate.references;
  // A block of a causal net: two norms, q, k, v, what attention and FFN make, two sums. Between the
  // layers of a classifier: before and after dropout.
  int64_t rows = 0;
  if (spec.gate.net == spec::GateNet::kCausal) rows = 20 * spec.gate.depth;
  if (spec.gate.net == spec::GateNet::kClassifier) rows = 2 * (spec.gate.depth - 1);
  return kept + rows * spec.gate.hidden_size;
}

}  // namespace

int64_t TokenNumbers::bytes(int64_t dtype_bytes) const {
  return elements * dtype_bytes + floats * kFloat;
}

TokenNumbers& TokenNumbers::operator+=(const TokenNumbers& other) {
  elements += other.elements;
  floats += other.floats;
  return *this;
}

int64_t AdaptedGroup::gates() const {
  return std::count_if(sites.begin(), sites.end(),
                       [](const spec::AdaptedSite& site) { return site.gate_width.has_value(); });
}

int64_t AdaptedGroup::out() const {
  int64_t all = 0;
  for (const spec::AdaptedSite& site : sites) all += site.projection.out;
  return all;
}

std::vector<AdaptedGroup> adapted_groups(const spec::MixtureSpec& spec,
                                         const spec::DecoderShape& shape) {
  std::vector<AdaptedGroup> groups;
  for (spec::AdaptedSite& site : spec::adapted_sites(spec, shape)) {
    const spec::ProjectionShape& projection = site.projection;
    const bool is_new = groups.empty() || groups.back().layer != site.layer ||
                        groups.back().group != projection.group;
    if (is_new) groups.push_back({site.layer, projection.group, projection.in, {}});
    groups.back().sites.push_back(std::move(site));
  }
  return groups;
}

TokenNumbers kept_by_adapters(const spec::MixtureSpec& spec,
                              const spec::DecoderShape& shape,
                              const Activations& activations) {
  const bool is_block = spec.attach == spec::Attach::kFfnBlock;
  const ChosenAlone chosen_alone(spec, activations);
  const std::vector<AdaptedGroup> groups = adapted_groups(spec, shape);
  TokenNumbers kept;
  for (const AdaptedGroup& group : groups) {
    const bool are_chosen_alone = chosen_alone(group);
    (are_chosen_alone ? kept.floats : kept.elements) +=
        kept_by_experts(spec, group, are_chosen_alone);
    kept.floats += kept_by_gates(spec, group, activations.dtype_bytes == kFloat);
    // Inside whole FFNs dropout is made again.
    const bool drops_inside = is_block && group.group == kDown;
    if (spec.experts.dropout > 0.0 && !drops_inside) kept.elements += group.in;
  }
  if (spec.has_gate() && spec.gate.share == spec::GateShare::kModel)
    kept.floats += kept_by_model_gate(spec, shape, groups);
  return kept;
}

}  // namespace lmoe::train
