#include "mixture/gate.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "mixture/allowed_experts.h"
#include "mixture/capacity.h"
#include "mixture/draw_experts.h"
#include "mixture/gate_noise.h"
#include "mixture/normalize.h"
#include "mixture/select.h"
#include "mixture/site_name.h"
#include "mixture/task_one_hot.h"

namespace lmoe::mixture {
namespace {

Rng& generator(const nn::ForwardContext& context) {
  LMOE_CHECK_ARG(
      context.dropout_rng != nullptr,
      "[route] training with gate noise or sampled experts needs a generator in the forward "
      "context");
  return *context.dropout_rng;
}

/// Whose tensors they are: the sites', or the one net's that decides for all of them.
std::vector<SiteInfo> owners_of(const spec::GateSpec& spec, std::vector<SiteInfo> sites) {
  if (spec.share == spec::GateShare::kModel) return {{kModelSite, 0}};
  return sites;
}

std::vector<SiteInfo> sites_of(const std::vector<SiteInfo>& owners, const GateNet& net) {
  std::vector<SiteInfo> sites;
  for (const SiteInfo& owner : owners)
    for (const std::string& choice : net.choices())
      sites.push_back({owner.name + choice, owner.layer});
  return sites;
}

}  // namespace

std::unique_ptr<GateNet> make_gate_net(const spec::GateSpec& spec,
                                       const GateShape& shape,
                                       Rng& rng) {
  switch (spec.net) {
    case spec::GateNet::kLinear:
      return make_linear_gate(spec, shape, rng);
    case spec::GateNet::kMlp:
      return make_mlp_gate(spec, shape, rng);
    case spec::GateNet::kSelf:
      return make_self_gate(spec);
    case spec::GateNet::kTree:
      return make_tree_gate(spec, shape, rng);
    case spec::GateNet::kClassifier:
      return make_classifier_gate(spec, shape, rng);
    case spec::GateNet::kScalars:
      return make_scalar_gate(spec, shape, rng);
  }
  return nullptr;
}

Gate::Gate(const spec::MixtureSpec& spec,
           std::vector<SiteInfo> sites,
           int64_t experts,
           int64_t input_width,
           at::ScalarType dtype,
           Rng& rng)
    : owners_(owners_of(spec.gate, sites)),
      net_(make_gate_net(
          spec.gate,
          {static_cast<int64_t>(sites.size()), experts, spec.experts.levels, input_width, dtype},
          rng)),
      sites_(spec.gate.share == spec::GateShare::kModel ? std::move(sites)
                                                        : sites_of(owners_, *net_)),
      experts_(experts),
      input_width_(input_width),
      dtype_(dtype),
      temperature_(spec.gate.temperature),
      jitter_(spec.gate.jitter),
      noise_(spec.gate.noise),
      select_(spec.select),
      normalize_(spec.normalize),
      bias_use_(spec.bias.use),
      bias_(bias_use_ == spec::BiasUse::kNone
                ? at::Tensor()
                : at::zeros({static_cast<int64_t>(sites_.size()), experts}, dtype)),
      active_experts_(spec.schedule.staged ? at::full({1}, static_cast<double>(experts), at::kFloat)
                                           : at::Tensor()) {}

at::Tensor Gate::weights(const at::Tensor& input, nn::ForwardContext& context) const {
  return route(input, context).weights;
}

Routing Gate::route(const at::Tensor& input, nn::ForwardContext& context) const {
  // How likely a draw was is to change by the gate, not by the layers below that feed it.
  at::Tensor read = (samples() ? input.detach() : input).to(dtype_);
  if (jitter_ > 0.0 && context.is_training) read = jitter(read, jitter_, generator(context));
  if (bias_use_ == spec::BiasUse::kActivation) read = read + bias_;
  return route_logits(net_->logits(read, context), context);
}

at::Tensor Gate::weights_of_rows(const at::Tensor& product, nn::ForwardContext& context) const {
  const auto gates = static_cast<int64_t>(sites_.size());
  return route_logits(product.reshape({product.size(0), gates, experts_}), context).weights;
}

Routing Gate::route_logits(at::Tensor logits, nn::ForwardContext& context) const {
  if (temperature_ != 1.0) logits = logits / temperature_;
  if (noise_ > 0.0 && context.is_training)
    logits = add_normal_noise(logits, noise_, generator(context));
  // Sites may have fewer experts than the mixture.
  const bool disables = context.disabled_expert >= 0 && context.disabled_expert < experts_;
  if (disables) {
    logits = logits.index_fill(/*dim=*/-1, at::full({1}, context.disabled_expert, at::kLong),
                               -std::numeric_limits<double>::infinity());
  }
  at::Tensor forbidden = forbidden_experts(context, logits.size(0), experts_, select_);
  if (const at::Tensor later = later_experts(); later.defined())
    forbidden = forbidden.defined() ? forbidden.logical_or(later) : later;
  at::Tensor nobody;  // tokens whose only expert is disabled
  if (forbidden.defined()) {
    logits = logits.masked_fill(forbidden.unsqueeze(/*dim=*/1),
                                -std::numeric_limits<double>::infinity());
    if (disables) {
      nobody = at::isneginf(logits).all(/*dim=*/-1, /*keepdim=*/true);
      logits = logits.masked_fill(nobody, 0.0);
    }
  }
  Scores scores = make_scores(logits, bias_, bias_use_, normalize_);
  if (forbidden.defined()) {  // a bias may have lifted them
    const at::Tensor out = forbidden.unsqueeze(/*dim=*/1);
    scores.values = scores.values.masked_fill(out, 0.0);
    scores.ranking = scores.ranking.masked_fill(out, -std::numeric_limits<double>::infinity());
  }
  Draw draw;
  if (samples() && context.is_training)
    draw = draw_experts(logits.detach(), *select_.k, generator(context));
  at::Tensor selected = draw.selected.defined() ? draw.selected : select_experts(scores, select_);
  if (selected.defined() && (disables || forbidden.defined()))
    selected = selected.logical_and(at::isfinite(logits));
  const bool takes_all = select_.inference_only && context.is_training;
  Routing routing = {routing_weights(scores, takes_all ? at::Tensor() : selected, normalize_), {}};
  if (select_.inference_threshold && !context.is_training) {
    const at::Tensor kept = logits.ge(*select_.inference_threshold / temperature_);
    routing.weights = routing.weights * kept;
    selected = selected.defined() ? selected.logical_and(kept) : kept;
  }
  if (nobody.defined()) {
    routing.weights = routing.weights.masked_fill(nobody, 0.0);
    scores.probabilities = scores.probabilities.masked_fill(nobody, 0.0);
  }
  if (disables && experts_ == 1)  // nobody is left: the base alone
    scores.probabilities = routing.weights = at::zeros_like(routing.weights);
  if (select_.capacity) limit(routing, selected, context);
  if (context.router_log != nullptr)
    write_log(*context.router_log, scores, routing.weights, selected,
              draw.order.defined() ? log_probability(logits, draw.order) : at::Tensor());
  return routing;
}

at::Tensor Gate::later_experts() const {
  if (!active_experts_.defined()) return {};
  const auto active = static_cast<int64_t>(active_experts_.item<float>());
  if (active >= experts_) return {};
  return at::arange(experts_).ge(active).unsqueeze(/*dim=*/0);
}

void Gate::limit(Routing& routing, const at::Tensor& selected, nn::ForwardContext& context) const {
  const at::Tensor all = selected.defined() ? selected : at::ones_like(routing.weights, at::kBool);
  const at::Tensor chosen = all.select(/*dim=*/1, 0);  // an FFN has one gate
  const at::Tensor over =
      over_capacity(chosen, *select_.capacity, this, context).unsqueeze(/*dim=*/1);
  routing.overflow = (routing.weights * over).sum(/*dim=*/-1);
  routing.weights = routing.weights * over.logical_not();
}

at::Tensor Gate::weights_by_task(int64_t tokens, nn::ForwardContext& context) const {
  const at::Tensor weights = task_one_hot(context, tokens, experts_, kNoTask, dtype_)
                                 .unsqueeze(/*dim=*/1)
                                 .expand({-1, static_cast<int64_t>(sites_.size()), -1});
  if (context.router_log != nullptr) {
    Scores scores;
    scores.logits = scores.probabilities = weights;
    write_log(*context.router_log, scores, weights, weights.gt(0), {});
  }
  return weights;
}

void Gate::log_uniform(nn::RouterLog& log, int64_t tokens) const {
  const auto gates = static_cast<int64_t>(sites_.size());
  const at::Tensor logits = at::zeros({tokens, gates, experts_}, dtype_);
  const Scores scores = make_scores(logits, {}, spec::BiasUse::kNone, normalize_);
  at::Tensor selected = select_experts(scores, select_);
  if (selected.defined()) {
    // Ties go to the first experts; each token starts to count at another one.
    for (int64_t t = 0; t < tokens; ++t) selected[t] = selected[t].roll(t, /*dims=*/-1);
  }
  write_log(log, scores, routing_weights(scores, selected, normalize_), selected, {});
}

void Gate::write_log(nn::RouterLog& log,
                     const Scores& scores,
                     const at::Tensor& weights,
                     const at::Tensor& selected,
                     const at::Tensor& log_draw) const {
  for (size_t g = 0; g < sites_.size(); ++g) {
    const auto index = static_cast<int64_t>(g);
    log.records.push_back({sites_[g].name, sites_[g].layer, scores.probabilities.select(1, index),
                           weights.select(1, index),
                           selected.defined() ? selected.select(1, index) : at::Tensor(),
                           scores.logits.select(1, index),
                           log_draw.defined() ? log_draw.select(1, index) : at::Tensor()});
  }
}

void Gate::log_input(const at::Tensor& input, nn::RouterLog& log) const {
  for (size_t i = log.records.size() - sites_.size(); i < log.records.size(); ++i)
    log.records[i].input = input;
}

std::vector<nn::NamedTensor> Gate::parameters() const {
  std::vector<std::string> names;
  for (const SiteInfo& owner : owners_) names.push_back(owner.name);
  std::vector<nn::NamedTensor> named;
  for (const StackedTensor& stacked : tensors())
    named.push_back({join_sites(names) + ".gate." + stacked.suffix, stacked.tensor});
  return named;
}

}  // namespace lmoe::mixture
