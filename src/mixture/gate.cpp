#include "mixture/gate.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "mixture/allowed_experts.h"
#include "mixture/capacity.h"
#include "mixture/draw_experts.h"
#include "mixture/dropout.h"
#include "mixture/gate_disagreement.h"
#include "mixture/gate_noise.h"
#include "mixture/normalize.h"
#include "mixture/pool_prompts.h"
#include "mixture/run_folder.h"
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

at::Tensor first_offset(const spec::GateSpec& spec,
                        int64_t count,
                        const at::TensorOptions& options) {
  if (!spec.init_bias) return {};
  return at::full({count}, *spec.init_bias, options).requires_grad_(true);
}

std::vector<SiteInfo> sites_of(const std::vector<SiteInfo>& owners, const GateNet& net) {
  std::vector<SiteInfo> sites;
  for (const SiteInfo& owner : owners)
    for (const std::string& choice : net.choices())
      sites.push_back({owner.name + choice, owner.layer});
  return sites;
}

}  // namespace

const at::Tensor& embedded(const nn::ForwardContext& context) {
  LMOE_CHECK_ARG(context.embedded.defined(),
                 "[route] gate.source embedding needs what enters the first layer; forward the "
                 "whole decoder");
  return context.embedded;
}

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
    case spec::GateNet::kRecurrent:
      return make_recurrent_gate(spec, shape, rng);
    case spec::GateNet::kCosine:
      return make_cosine_gate(spec, shape, rng);
    case spec::GateNet::kNearest:
      return make_nearest_gate(spec, shape);
    case spec::GateNet::kCausal:
      return make_causal_gate(spec, shape, rng);
  }
  return nullptr;
}

Gate::Gate(const spec::MixtureSpec& spec,
           std::vector<SiteInfo> sites,
           int64_t experts,
           int64_t input_width,
           const at::TensorOptions& options,
           Rng& rng,
           std::shared_ptr<const RecurrentCell> cell)
    : owners_(owners_of(spec.gate, sites)),
      net_(make_gate_net(spec.gate,
                         {static_cast<int64_t>(sites.size()), experts, spec.experts.levels,
                          input_width, options, std::move(cell)},
                         rng)),
      sites_(spec.gate.share == spec::GateShare::kModel ? std::move(sites)
                                                        : sites_of(owners_, *net_)),
      experts_(experts),
      input_width_(input_width),
      options_(options),
      temperature_(net_->references() == nullptr ? spec.gate.temperature : 1.0),
      jitter_(spec.gate.jitter),
      noise_(spec.gate.noise),
      input_dropout_(spec.gate.input_dropout),
      passes_(spec.gate.uncertainty_passes),
      pool_(spec.gate.pool),
      offset_(first_offset(spec.gate, static_cast<int64_t>(sites_.size()) * experts, options)),
      select_(spec.select),
      normalize_(spec.normalize),
      bias_use_(spec.bias.use),
      bias_(bias_use_ == spec::BiasUse::kNone
                ? at::Tensor()
                : at::zeros({static_cast<int64_t>(sites_.size()), experts}, options)),
      active_experts_(spec.schedule.staged ? at::full({1}, static_cast<double>(experts), at::kFloat)
                                           : at::Tensor()) {}

at::Tensor Gate::weights(const at::Tensor& input, nn::ForwardContext& context) const {
  return route(input, context).weights;
}

Routing Gate::route(const at::Tensor& input, nn::ForwardContext& context) const {
  // How likely a draw was is to change by the gate, not by the layers below that feed it.
  at::Tensor read = (samples() ? input.detach() : input).to(options_);
  if (jitter_ > 0.0 && context.is_training) read = jitter(read, jitter_, generator(context));
  if (bias_use_ == spec::BiasUse::kActivation) read = read + bias_;
  return route_logits(net_logits(read, context), context);
}

at::Tensor Gate::net_logits(const at::Tensor& read, nn::ForwardContext& context) const {
  if (!context.is_training || passes_ == 1)
    return net_->logits(adapter_input(read, input_dropout_, context), context);
  std::vector<at::Tensor> passes;
  for (int64_t i = 0; i < passes_; ++i)
    passes.push_back(net_->logits(adapter_input(read, input_dropout_, context), context));
  return divided_by_disagreement(passes);
}

at::Tensor Gate::finished_logits(at::Tensor logits, nn::ForwardContext& context) const {
  if (offset_.defined()) logits = logits + offset_.view({logits.size(1), experts_});
  if (temperature_ != 1.0) logits = logits / temperature_;
  if (noise_ > 0.0 && context.is_training)
    logits = add_normal_noise(logits, noise_, generator(context));
  if (pool_ == spec::GatePool::kPrompt) logits = pool_over_prompts(logits, this, context);
  return logits;
}

at::Tensor Gate::weights_of_rows(const at::Tensor& product, nn::ForwardContext& context) const {
  const auto gates = static_cast<int64_t>(sites_.size());
  return route_logits(product.reshape({product.size(0), gates, experts_}), context).weights;
}

Routing Gate::route_logits(at::Tensor logits, nn::ForwardContext& context) const {
  logits = finished_logits(std::move(logits), context);
  // Sites may have fewer experts than the mixture.
  const bool disables = context.disabled_expert >= 0 && context.disabled_expert < experts_;
  if (disables) {
    logits = logits.index_fill(
        /*dim=*/-1, at::full({1}, context.disabled_expert, logits.options().dtype(at::kLong)),
        -std::numeric_limits<double>::infinity());
  }
  at::Tensor forbidden = forbidden_experts(context, logits.size(0), experts_, select_);
  if (const at::Tensor later = later_experts(); later.defined())
    forbidden = forbidden.defined() ? forbidden.logical_or(later) : later;
  if (forbidden.defined()) {
    forbidden = forbidden.to(logits.device());
    logits = logits.masked_fill(forbidden.unsqueeze(/*dim=*/1),
                                -std::numeric_limits<double>::infinity());
  }
  const bool leaves_out = forbidden.defined() || references() != nullptr;
  const bool shares_none =
      forbidden.defined() && select_.private_experts * select_.private_groups() == experts_;
  at::Tensor nobody;  // tokens that have no expert, or whose only one is disabled
  if (shares_none || (disables && leaves_out)) {
    nobody = at::isneginf(logits).all(/*dim=*/-1, /*keepdim=*/true);
    logits = logits.masked_fill(nobody, 0.0);
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
  if (selected.defined() && (disables || leaves_out))
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
    if (shares_none && selected.defined()) selected = selected.logical_and(nobody.logical_not());
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
  at::Tensor weights = task_one_hot(context, tokens, experts_, kNoTask, options_)
                           .unsqueeze(/*dim=*/1)
                           .expand({-1, static_cast<int64_t>(sites_.size()), -1});
  if (context.router_log != nullptr) {
    Scores scores;
    scores.logits = scores.probabilities = weights;
    write_log(*context.router_log, scores, weights, weights.gt(0), {});
  }
  return weights;
}

void Gate::log_uniform(nn::RouterLog& log, int64_t tokens, int64_t experts) const {
  const auto gates = static_cast<int64_t>(sites_.size());
  const at::Tensor logits = at::zeros({tokens, gates, experts}, options_);
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

std::vector<StackedTensor> Gate::tensors() const {
  std::vector<StackedTensor> all = net_->tensors();
  if (offset_.defined()) all.push_back({"offset", offset_});
  return all;
}

std::vector<nn::NamedTensor> Gate::parameters() const {
  std::vector<std::string> names;
  for (const SiteInfo& owner : owners_) names.push_back(owner.name);
  std::vector<nn::NamedTensor> named;
  for (const StackedTensor& stacked : tensors())
    named.push_back({join_sites(names) + ".gate." + stacked.suffix, stacked.tensor});
  return named;
}

std::vector<nn::NamedTensor> Gate::common_parameters() const {
  std::vector<nn::NamedTensor> named;
  for (const StackedTensor& common : net_->common_tensors())
    named.push_back({router_tensor(kModelSite, common.suffix), common.tensor});
  return named;
}

}  // namespace lmoe::mixture
