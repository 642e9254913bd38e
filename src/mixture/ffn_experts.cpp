#include "mixture/ffn_experts.h"

#include <ATen/ATen.h>

#include "mixture/dropout.h"

namespace lmoe::mixture {

FfnExperts::FfnExperts(const spec::MixtureSpec& spec,
                       size_t block,
                       std::unique_ptr<ExpertBank> gate_up,
                       std::unique_ptr<ExpertBank> down,
                       std::shared_ptr<Gate> gate)
    : block_(block),
      gate_up_(std::move(gate_up)),
      down_(std::move(down)),
      gate_(std::move(gate)),
      source_(spec.gate.source),
      is_shared_(spec.gate.share == spec::GateShare::kModel),
      dropout_(spec.experts.dropout) {
  if (!gate_) return;
  const std::string& own = banks().front()->targets().front().site;
  for (size_t i = 0; i < gate_->sites().size(); ++i)
    if (own.starts_with(gate_->sites()[i].name + ".")) choice_ = static_cast<int64_t>(i);
}

Routing FfnExperts::route(const at::Tensor& x, nn::ForwardContext& context) const {
  if (!gate_) return {at::ones({x.size(0), 1}, x.options()), {}};
  at::Tensor* shared = is_shared_ ? &context.shared_gates[gate_.get()] : nullptr;
  if (shared != nullptr && shared->defined()) return {shared->select(/*dim=*/1, choice_), {}};
  const at::Tensor& read = source_ == spec::GateSource::kEmbedding ? embedded(context) : x;
  Routing routing = gate_->route(read, context);
  if (context.router_log != nullptr && context.router_log->keeps_inputs)
    gate_->log_input(read, *context.router_log);
  if (shared != nullptr) *shared = routing.weights;
  routing.weights = routing.weights.select(/*dim=*/1, choice_);
  return routing;
}

at::Tensor FfnExperts::apply(const at::Tensor& x,
                             const nn::GatedMlp& mlp,
                             nn::ForwardContext& context) {
  const at::ScalarType dtype = x.scalar_type();
  const Routing routing = route(x, context);
  const at::Tensor& weights = routing.weights;
  const bool nobody_is_left = experts() == 1 && context.disabled_expert == 0;
  if (nobody_is_left) return mlp.forward_alone(x, context);
  const at::Tensor adapter_x = adapter_input(x, dropout_, context);
  const std::vector<at::Tensor> shared = mlp.gate_up().forward({x, x}, context);
  const MixedFfn inner = mix_ffn(adapter_x, shared[0], shared[1], weights, factors(),
                                 mlp.activation(), dropout_mask(dropout_, context));
  at::Tensor y = mlp.down().forward({inner.mixed, x}, context)[0];
  if (inner.low.defined()) y = y + inner.low;
  const at::Tensor& bias = mlp.down().linears()[0].bias;
  if (bias.defined()) y = y + (weights.sum(1, /*keepdim=*/true).to(dtype) - 1) * bias;
  return routing.overflow.defined() ? y + routing.overflow.to(dtype) * x : y;
}

FfnFactors FfnExperts::factors() const {
  FfnFactors factors;
  factors.scaling = (gate_up_ ? gate_up_ : down_)->scaling();
  if (gate_up_) {
    factors.gate_up_a = gate_up_->a();
    for (size_t t = 0; t < gate_up_->targets().size(); ++t) {
      factors.gate_up_b.push_back(gate_up_->b(t));
      factors.gate_up_targets.push_back(static_cast<int64_t>(gate_up_->targets()[t].linear));
    }
  }
  if (down_) {
    factors.down_a = down_->a();
    factors.down_b = down_->b(0);
  }
  return factors;
}

std::vector<const ExpertBank*> FfnExperts::banks() const {
  std::vector<const ExpertBank*> all;
  if (gate_up_) all.push_back(gate_up_.get());
  if (down_) all.push_back(down_.get());
  return all;
}

int64_t FfnExperts::experts() const { return (gate_up_ ? gate_up_ : down_)->experts(); }

void FfnExperts::check_fits(const nn::GatedMlp& mlp) const {
  if (gate_up_) gate_up_->check_fits(mlp.gate_up());
  if (down_) down_->check_fits(mlp.down());
}

}  // namespace lmoe::mixture
