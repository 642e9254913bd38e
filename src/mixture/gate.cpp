#include "mixture/gate.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "mixture/capacity.h"
#include "mixture/dropout.h"
#include "mixture/normalize.h"
#include "mixture/scores.h"
#include "mixture/select.h"
#include "mixture/site_name.h"

namespace lmoe::mixture {

std::unique_ptr<GateNet> make_gate_net(const spec::GateSpec& spec,
                                       const GateShape& shape,
                                       Rng& rng) {
  return spec.net == spec::GateNet::kLinear ? make_linear_gate(spec, shape, rng)
                                            : make_mlp_gate(spec, shape, rng);
}

Gate::Gate(const spec::MixtureSpec& spec,
           std::vector<SiteInfo> sites,
           int64_t experts,
           int64_t input_width,
           at::ScalarType dtype,
           Rng& rng)
    : sites_(std::move(sites)),
      experts_(experts),
      input_width_(input_width),
      dtype_(dtype),
      temperature_(spec.gate.temperature),
      jitter_(spec.gate.jitter),
      select_(spec.select),
      normalize_(spec.normalize),
      bias_use_(spec.bias.use),
      bias_(bias_use_ == spec::BiasUse::kNone
                ? at::Tensor()
                : at::zeros({static_cast<int64_t>(sites_.size()), experts}, dtype)),
      net_(make_gate_net(
          spec.gate, {static_cast<int64_t>(sites_.size()), experts_, input_width, dtype}, rng)) {}

at::Tensor Gate::weights(const at::Tensor& input, nn::ForwardContext& context) const {
  return route(input, context).weights;
}

Routing Gate::route(const at::Tensor& input, nn::ForwardContext& context) const {
  at::Tensor x = input.to(dtype_);
  if (context.is_training && jitter_ > 0.0) {
    LMOE_CHECK_ARG(context.dropout_rng != nullptr,
                   "[mixture] training with gate.jitter needs a generator in the forward context");
    x = jitter(x, jitter_, *context.dropout_rng);
  }
  return route_logits(net_->logits(x), context);
}

at::Tensor Gate::weights_of_rows(const at::Tensor& product, nn::ForwardContext& context) const {
  const auto gates = static_cast<int64_t>(sites_.size());
  return route_logits(product.reshape({product.size(0), gates, experts_}), context).weights;
}

Routing Gate::route_logits(at::Tensor logits, nn::ForwardContext& context) const {
  if (temperature_ != 1.0) logits = logits / temperature_;
  // Sites may have fewer experts than the mixture.
  const bool disables = context.disabled_expert >= 0 && context.disabled_expert < experts_;
  if (disables) {
    logits = logits.index_fill(/*dim=*/-1, at::full({1}, context.disabled_expert, at::kLong),
                               -std::numeric_limits<double>::infinity());
  }
  const Scores scores = make_scores(logits, bias_, bias_use_, normalize_);
  at::Tensor selected = select_experts(scores, select_);
  if (selected.defined() && disables) selected = selected.logical_and(at::isfinite(logits));
  at::Tensor probabilities = scores.probabilities;
  Routing routing = {routing_weights(scores, selected, normalize_), {}};
  if (disables && experts_ == 1)  // nobody is left: the base alone
    probabilities = routing.weights = at::zeros_like(probabilities);
  if (select_.capacity) limit(routing, selected, context);
  if (context.router_log != nullptr)
    write_log(*context.router_log, probabilities, routing.weights, selected);
  return routing;
}

void Gate::limit(Routing& routing, const at::Tensor& selected, nn::ForwardContext& context) const {
  const at::Tensor all = selected.defined() ? selected : at::ones_like(routing.weights, at::kBool);
  const at::Tensor chosen = all.select(/*dim=*/1, 0);  // an FFN has one gate
  const at::Tensor over =
      over_capacity(chosen, *select_.capacity, this, context).unsqueeze(/*dim=*/1);
  routing.overflow = (routing.weights * over).sum(/*dim=*/-1);
  routing.weights = routing.weights * over.logical_not();
}

void Gate::write_log(nn::RouterLog& log,
                     const at::Tensor& probabilities,
                     const at::Tensor& weights,
                     const at::Tensor& selected) const {
  for (size_t g = 0; g < sites_.size(); ++g) {
    const auto index = static_cast<int64_t>(g);
    log.records.push_back({sites_[g].name, sites_[g].layer, probabilities.select(1, index),
                           weights.select(1, index),
                           selected.defined() ? selected.select(1, index) : at::Tensor()});
  }
}

std::vector<nn::NamedTensor> Gate::parameters() const {
  std::vector<std::string> names;
  for (const SiteInfo& site : sites_) names.push_back(site.name);
  std::vector<nn::NamedTensor> named;
  for (const StackedTensor& stacked : tensors())
    named.push_back({join_sites(names) + ".gate." + stacked.suffix, stacked.tensor});
  return named;
}

}  // namespace lmoe::mixture
