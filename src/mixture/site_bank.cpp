#include "mixture/site_bank.h"

#include <ATen/ATen.h>

#include "mixture/dropout.h"

namespace lmoe::mixture {

SiteBank::SiteBank(const spec::MixtureSpec& spec,
                   SiteRole role,
                   size_t group,
                   std::unique_ptr<ExpertBank> bank,
                   std::shared_ptr<Gate> gate)
    : role_(role),
      group_(group),
      bank_(std::move(bank)),
      gate_(std::move(gate)),
      source_(spec.gate.source),
      share_(spec.gate.share),
      dropout_(spec.experts.dropout) {}

std::vector<at::Tensor> SiteBank::apply(const nn::SocketInput& input,
                                        std::vector<at::Tensor> outputs,
                                        nn::ForwardContext& context) {
  const bool is_disabled = !gate_ && context.disabled_expert >= 0;
  if (is_disabled && role_ == SiteRole::kExperts) return outputs;
  const Stage stage = down_and_route(input, context);
  std::vector<at::Tensor> adapted;
  for (const BankTarget& target : bank_->targets())
    adapted.push_back(std::move(outputs[target.linear]));
  adapted = bank_->project(stage.down, stage.weights, adapted);
  for (size_t p = 0; p < adapted.size(); ++p)
    outputs[bank_->targets()[p].linear] = std::move(adapted[p]);
  return outputs;
}

SiteBank::Stage SiteBank::down_and_route(const nn::SocketInput& input,
                                         nn::ForwardContext& context) const {
  const at::Tensor x = adapter_input(input.x, dropout_, context);
  const at::Tensor a = bank_->a().to(x.scalar_type());
  if (!gate_) return {at::linear(x, a), {}};
  at::Tensor* shared =
      share_ == spec::GateShare::kBlock ? &context.shared_gates[gate_.get()] : nullptr;
  if (shared != nullptr && shared->defined()) return {at::linear(x, a), *shared};

  const at::Tensor rows = gate_->stackable_rows();
  const bool reads_x =
      source_ == spec::GateSource::kInput
          ? input.x.is_same(x)
          : source_ == spec::GateSource::kBlockInput && input.block_input.is_same(x);
  Stage stage;
  if (rows.defined() && reads_x && rows.scalar_type() == x.scalar_type()) {
    const at::Tensor both = at::linear(x, at::cat({a, rows}));
    stage.down = both.narrow(/*dim=*/1, 0, a.size(0));
    stage.weights =
        gate_->weights_of_rows(both.narrow(/*dim=*/1, a.size(0), rows.size(0)), context);
  } else {
    stage.down = at::linear(x, a);
    stage.weights = gate_->weights(gate_input(input, stage.down), context);
  }
  if (shared != nullptr) *shared = stage.weights;
  return stage;
}

at::Tensor SiteBank::gate_input(const nn::SocketInput& input, const at::Tensor& down) const {
  if (source_ == spec::GateSource::kInput) return input.x;
  if (source_ == spec::GateSource::kBlockInput) return input.block_input;
  const auto projections = static_cast<int64_t>(bank_->targets().size());
  return down.reshape({down.size(0), projections, down.size(1) / projections});
}

}  // namespace lmoe::mixture
