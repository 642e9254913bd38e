#include "spec/adapted_sites.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"

namespace lmoe::spec {
namespace {

bool is_target(const MixtureSpec& spec, const std::string& path) {
  return std::any_of(
      spec.target_modules.begin(), spec.target_modules.end(),
      [&](const std::string& target) { return path == target || path.ends_with("." + target); });
}

int64_t gate_input_width(const MixtureSpec& spec, const DecoderShape& shape, int64_t in) {
  switch (spec.gate.source) {
    case GateSource::kBlockInput:
    case GateSource::kEmbedding:
      return shape.hidden_size;
    case GateSource::kRankActivation:
      return spec.experts.kind == ExpertKind::kRankOne ? spec.experts.count : spec.experts.rank;
    case GateSource::kTaskId:
      return spec.experts.count;
    case GateSource::kLearned:
      return 1;
    case GateSource::kLastHidden:
      return shape.hidden_size;
    case GateSource::kInput:
    case GateSource::kConstant:
      return in;
  }
  return in;
}

}  // namespace

std::vector<ProjectionShape> layer_projections(const DecoderShape& shape) {
  const int64_t hidden = shape.hidden_size, inner = shape.intermediate_size;
  return {{"q_proj", "self_attn", hidden, shape.query_size, 0},
          {"k_proj", "self_attn", hidden, shape.key_size, 0},
          {"v_proj", "self_attn", hidden, shape.key_size, 0},
          {"o_proj", "self_attn", shape.query_size, hidden, 1},
          {"gate_proj", "mlp", hidden, inner, 2},
          {"up_proj", "mlp", hidden, inner, 2},
          {"down_proj", "mlp", inner, hidden, 3}};
}

std::vector<AdaptedSite> adapted_sites(const MixtureSpec& spec, const DecoderShape& shape) {
  std::vector<AdaptedSite> sites;
  for (int layer = 0; layer < shape.layers; ++layer) {
    if (!spec.adapts_layer(layer)) continue;
    std::set<std::string> blocks_with_gate;
    for (const ProjectionShape& projection : layer_projections(shape)) {
      const std::string path =
          concat("model.layers.", layer, ".", projection.block, ".", projection.name);
      if (!is_target(spec, path)) continue;
      const int64_t experts = spec.experts.count_at(layer, shape.layers);
      AdaptedSite site{layer, projection, experts, {}};
      const bool brings_gate = spec.has_gate() && spec.gate.share != GateShare::kModel &&
                               (spec.gate.share == GateShare::kProjection ||
                                blocks_with_gate.insert(projection.block).second);
      if (brings_gate) site.gate_width = gate_input_width(spec, shape, projection.in);
      sites.push_back(std::move(site));
    }
  }
  return sites;
}

int lowest_adapted_layer(const MixtureSpec& spec, const DecoderShape& shape) {
  if (spec.has_prompts()) return 0;  // they enter the first layer
  const std::vector<AdaptedSite> sites = adapted_sites(spec, shape);
  const int lowest = sites.empty() ? shape.layers : sites.front().layer;
  return spec.has_plain() ? std::min(lowest, lowest_adapted_layer(spec.plain_part(), shape))
                          : lowest;
}

namespace {

/// One classifier for all sites.
SiteCost classifier_cost(const MixtureSpec& spec, const DecoderShape& shape, int64_t sites) {
  SiteCost cost;
  int64_t width = shape.hidden_size;
  for (int64_t depth = 0; depth < spec.gate.depth; ++depth) {
    const bool is_last = depth + 1 == spec.gate.depth;
    const int64_t rows = is_last ? sites * spec.experts.count : spec.gate.hidden_size;
    cost.parameters += rows * (width + 1);
    cost.multiply_adds += rows * width;
    width = rows;
  }
  return cost;
}

/// One net of blocks for all sites (mixture/causal_gate.cpp). What tokens multiply with those
/// before them grows with the document and is not counted, as it is not for the layers.
SiteCost causal_cost(const MixtureSpec& spec, const DecoderShape& shape, int64_t decisions) {
  const int64_t width = spec.gate.hidden_size, outputs = decisions * spec.experts.count;
  const int64_t matrices = (shape.hidden_size + 7 * spec.gate.depth * width + outputs) * width;
  const int64_t norms = (2 * spec.gate.depth + 1) * width;
  return {matrices + norms + (spec.gate.init_bias ? outputs : 0), matrices};
}

/// Of a gate for the whole model, and the first pass if it reads one.
SiteCost model_gate_cost(const MixtureSpec& spec,
                         const DecoderShape& shape,
                         const std::vector<AdaptedSite>& sites) {
  std::set<int> layers;
  for (const AdaptedSite& site : sites) layers.insert(site.layer);
  const bool is_block = spec.attach == Attach::kFfnBlock;
  const int64_t decisions =
      spec.gate.layerwise ? (is_block ? std::ssize(layers) : std::ssize(sites)) : 1;
  SiteCost cost;
  if (spec.gate.net == GateNet::kClassifier) {
    cost = classifier_cost(spec, shape, decisions);
  } else if (spec.gate.net == GateNet::kCausal) {
    cost = causal_cost(spec, shape, decisions);
  } else if (spec.gate.net == GateNet::kNearest) {  // one memory for all sites
    cost = gate_cost(spec, shape.hidden_size, spec.experts.count);
  } else {
    const SiteCost one = gate_cost(spec, shape.hidden_size, spec.experts.count);
    cost = {decisions * one.parameters, decisions * one.multiply_adds};
  }
  if (spec.gate.source == GateSource::kLastHidden)
    cost.multiply_adds += frozen_multiply_adds(shape);
  return cost;
}

}  // namespace

SiteCost mixture_cost(const MixtureSpec& spec, const DecoderShape& shape) {
  SiteCost total;
  const auto add = [&](const SiteCost& cost) {
    total.parameters += cost.parameters;
    total.multiply_adds += cost.multiply_adds;
  };
  std::pair<int, int> last_group = {-1, -1};
  for (const AdaptedSite& site : adapted_sites(spec, shape)) {
    add(experts_cost(spec, site.projection.in, site.projection.out, site.experts));
    if (!site.gate_width) continue;
    // Projections that share their input ask one memory.
    const std::pair<int, int> group = {site.layer, site.projection.group};
    if (spec.gate.net != GateNet::kNearest || group != last_group)
      add(gate_cost(spec, *site.gate_width, site.experts));
    last_group = group;
  }
  if (spec.gate.share == GateShare::kModel)
    add(model_gate_cost(spec, shape, adapted_sites(spec, shape)));
  add(common_gate_cost(spec));
  if (spec.has_plain()) add(mixture_cost(spec.plain_part(), shape));
  add(prompts_cost(spec.prompts, shape.hidden_size));
  return total;
}

int64_t trained_parameters(const MixtureSpec& spec, const DecoderShape& shape) {
  int64_t count = mixture_cost(spec, shape).parameters;
  if (!spec.schedule.never_trains_experts()) return count;
  for (const AdaptedSite& site : adapted_sites(spec, shape))
    count -= experts_cost(spec, site.projection.in, site.projection.out, site.experts).parameters;
  return count;
}

int64_t frozen_multiply_adds(const DecoderShape& shape) {
  int64_t layer = 0;
  for (const ProjectionShape& p : layer_projections(shape)) layer += p.in * p.out;
  return shape.layers * layer;
}

}  // namespace lmoe::spec
