#include "mixture/ffn_experts.h"

#include <ATen/ATen.h>

#include <optional>

#include "mixture/dropout.h"
#include "mixture/expert_slices.h"

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
  if (!gate_) return {at::ones({x.size(0), 1}, x.scalar_type()), {}};
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
  std::optional<ExpertSlices> gate_up, down;
  if (gate_up_) gate_up.emplace(*gate_up_, dtype);
  if (down_) down.emplace(*down_, dtype);

  at::Tensor mixed = at::zeros_like(shared[0]);
  at::Tensor low_rank = down ? at::zeros_like(x) : at::Tensor();
  for (const Share& share : shares(weights, dtype)) {
    std::vector<at::Tensor> inner;
    for (const at::Tensor& all : shared) inner.push_back(all.index_select(0, share.rows));
    const at::Tensor rows_x = adapter_x.index_select(0, share.rows);
    for (size_t t = 0; gate_up && t < gate_up->targets(); ++t) {
      at::Tensor& output = inner[gate_up_->targets()[t].linear];
      output = gate_up->add(share.expert, t, rows_x, std::move(output));
    }
    const at::Tensor activated = nn::gated_activation(mlp.activation(), inner[0], inner[1]);
    mixed.index_add_(0, share.rows, activated * share.weights);
    if (!down) continue;
    low_rank.index_add_(0, share.rows,
                        down->weighted(share.expert, 0, adapter_input(activated, dropout_, context),
                                       share.weights));
  }
  at::Tensor y = mlp.down().forward({mixed, x}, context)[0];
  if (down) y = y + low_rank;
  const at::Tensor& bias = mlp.down().linears()[0].bias;
  if (bias.defined()) y = y + (weights.sum(1, /*keepdim=*/true).to(dtype) - 1) * bias;
  return routing.overflow.defined() ? y + routing.overflow.to(dtype) * x : y;
}

std::vector<FfnExperts::Share> FfnExperts::shares(const at::Tensor& weights, at::ScalarType dtype) {
  const at::Tensor pairs = weights.detach().t().nonzero();  // [S, 2] expert, token; by expert
  const at::Tensor owners = pairs.select(/*dim=*/1, 0).contiguous();
  const at::Tensor rows = pairs.select(/*dim=*/1, 1).contiguous();
  const at::Tensor typed = weights.to(dtype);
  const auto* expert = owners.const_data_ptr<int64_t>();
  std::vector<Share> all;
  for (int64_t first = 0, last = 0; first < pairs.size(0); first = last) {
    while (last < pairs.size(0) && expert[last] == expert[first]) ++last;
    const at::Tensor own = rows.narrow(/*dim=*/0, first, last - first);
    all.push_back({expert[first], own,
                   typed.select(/*dim=*/1, expert[first]).index_select(0, own).unsqueeze(1)});
  }
  return all;
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
