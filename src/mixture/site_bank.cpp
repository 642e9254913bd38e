#include "mixture/site_bank.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "mixture/dropout.h"
#include "mixture/middle_stage.h"

namespace lmoe::mixture {

SiteBank::SiteBank(const spec::MixtureSpec& spec,
                   size_t group,
                   ExpertBank bank,
                   std::shared_ptr<Gate> gate)
    : group_(group),
      bank_(std::move(bank)),
      gate_(std::move(gate)),
      source_(spec.gate.source),
      share_(spec.gate.share),
      apply_(spec.apply),
      dropout_(spec.experts.dropout) {}

std::vector<at::Tensor> SiteBank::apply(const nn::SocketInput& input,
                                        std::vector<at::Tensor> outputs,
                                        nn::ForwardContext& context) {
  LMOE_CHECK_ARG(context.disabled_expert < bank_.experts(),
                 "[mixture] no such expert to switch off: given ", context.disabled_expert,
                 ", expected at most ", bank_.experts() - 1);
  if (!gate_ && context.disabled_expert >= 0) return outputs;
  const at::Tensor weights = routing_weights(input, context);
  const at::Tensor x = adapter_input(input.x, context);
  const auto projections = static_cast<int64_t>(bank_.targets().size());
  const int64_t width = bank_.experts() * bank_.rank();
  at::Tensor middle = at::linear(x, bank_.a().to(x.scalar_type()));
  if (weights.defined()) {
    const at::Tensor down = middle.view({x.size(0), projections, bank_.experts(), bank_.rank()});
    middle = middle_stage(down, weights, apply_).to(x.scalar_type());
  }
  middle = middle.reshape({x.size(0), projections, width});
  for (size_t p = 0; p < bank_.targets().size(); ++p) {
    outputs[bank_.targets()[p].linear].addmm_(middle.select(1, static_cast<int64_t>(p)),
                                              bank_.b(p).to(x.scalar_type()).t(), /*beta=*/1,
                                              /*alpha=*/bank_.scaling());
  }
  return outputs;
}

at::Tensor SiteBank::routing_weights(const nn::SocketInput& input,
                                     nn::ForwardContext& context) const {
  if (!gate_) return {};
  if (share_ == spec::GateShare::kProjection) {
    return gate_->weights(source_ == spec::GateSource::kInput ? input.x : input.block_input,
                          context);
  }
  at::Tensor& shared = context.shared_gates[gate_.get()];
  if (!shared.defined()) shared = gate_->weights(input.block_input, context);
  return shared;
}

at::Tensor SiteBank::adapter_input(const at::Tensor& x, nn::ForwardContext& context) const {
  if (!context.is_training || dropout_ == 0.0) return x;
  LMOE_CHECK_ARG(context.dropout_rng != nullptr,
                 "[mixture] training with dropout needs a generator in the forward context");
  return dropout(x, dropout_, *context.dropout_rng);
}

void SiteBank::check_fits(const nn::ProjectionGroup& group) const {
  for (const BankTarget& target : bank_.targets()) {
    const bool found = target.linear < group.linears().size() &&
                       group.linears()[target.linear].module_path == target.module_path;
    LMOE_CHECK_ARG(found, "[attach] the model has no ", target.module_path,
                   " where the mixture expects it; it was made for another base model");
    const at::Tensor& weight = group.linears()[target.linear].weight;
    LMOE_CHECK_ARG(weight.size(0) == target.out && weight.size(1) == bank_.in(), "[attach] ",
                   target.module_path, " has shape [", weight.size(0), ", ", weight.size(1),
                   "], the mixture expects [", target.out, ", ", bank_.in(),
                   "]; it was made for another base model");
  }
}

}  // namespace lmoe::mixture
