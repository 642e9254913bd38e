#include "mixture/site_bank.h"

#include <ATen/ATen.h>

#include "mixture/dropout.h"
#include "mixture/task_one_hot.h"

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
      default_task_(spec.gate.default_task.value_or(kNoTask)),
      hard_until_(spec.schedule.hard_until),
      dropout_(spec.experts.dropout),
      detach_input_(spec.experts.detach_input) {}

std::vector<at::Tensor> SiteBank::apply(const nn::SocketInput& input,
                                        std::vector<at::Tensor> outputs,
                                        nn::ForwardContext& context) {
  const bool is_disabled = !gate_ && context.disabled_expert >= 0;
  if (is_disabled && role_ == SiteRole::kExperts) return outputs;
  const BankInput stage = down_and_route(input, context);
  std::vector<at::Tensor> adapted;
  for (const BankTarget& target : bank_->targets())
    adapted.push_back(std::move(outputs[target.linear]));
  adapted = bank_->project(stage, adapted);
  for (size_t p = 0; p < adapted.size(); ++p)
    outputs[bank_->targets()[p].linear] = std::move(adapted[p]);
  return outputs;
}

BankInput SiteBank::down_and_route(const nn::SocketInput& input,
                                   nn::ForwardContext& context) const {
  at::Tensor x = adapter_input(input.x, dropout_, context);
  const bool is_masked = !input.x.is_same(x);
  if (detach_input_) x = x.detach();
  const at::Tensor a = bank_->a().defined() ? bank_->a().to(x.scalar_type()) : at::Tensor();
  const auto down = [&] { return a.defined() ? at::linear(x, a) : at::Tensor(); };
  BankInput stage = {x, is_masked, {}, {}};
  if (!gate_) {
    stage.down = down();
    return stage;
  }
  at::Tensor* shared =
      share_ == spec::GateShare::kBlock ? &context.shared_gates[gate_.get()] : nullptr;
  if (shared != nullptr && shared->defined()) {
    stage.down = down();
    stage.weights = *shared;
    return stage;
  }

  if (context.is_training && context.progress < hard_until_) {
    stage.down = down();
    stage.weights = gate_->weights_by_task(x.size(0), context);
    if (shared != nullptr) *shared = stage.weights;
    return stage;
  }
  const at::Tensor rows = gate_->stackable_rows();
  const bool reads_x =
      source_ == spec::GateSource::kInput
          ? !stage.is_dropped
          : source_ == spec::GateSource::kBlockInput && input.block_input.is_same(x);
  if (a.defined() && rows.defined() && reads_x && rows.scalar_type() == x.scalar_type()) {
    const at::Tensor both = at::linear(x, at::cat({a, rows}));
    stage.down = both.narrow(/*dim=*/1, 0, a.size(0));
    stage.weights =
        gate_->weights_of_rows(both.narrow(/*dim=*/1, a.size(0), rows.size(0)), context);
  } else {
    stage.down = down();
    stage.weights = gate_->weights(gate_input(input, stage.down, context), context);
  }
  if (shared != nullptr) *shared = stage.weights;
  if (context.router_log != nullptr && context.router_log->keeps_inputs)
    gate_->log_input(gate_input(input, stage.down, context), *context.router_log);
  return stage;
}

at::Tensor SiteBank::gate_input(const nn::SocketInput& input,
                                const at::Tensor& down,
                                const nn::ForwardContext& context) const {
  if (source_ == spec::GateSource::kInput) return input.x;
  if (source_ == spec::GateSource::kBlockInput) return input.block_input;
  const auto projections = static_cast<int64_t>(bank_->targets().size());
  if (source_ == spec::GateSource::kTaskId) {
    return task_one_hot(context, down.size(0), gate_->input_width(), default_task_,
                        down.scalar_type())
        .unsqueeze(/*dim=*/1)
        .expand({-1, projections, -1});
  }
  return down.reshape({down.size(0), projections, down.size(1) / projections});
}

}  // namespace lmoe::mixture
