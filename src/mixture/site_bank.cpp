#include "mixture/site_bank.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "mixture/dropout.h"
#include "mixture/task_one_hot.h"
#include "nn/linear.h"

namespace lmoe::mixture {
namespace {

/// What the table is asked with, but for rows and their type.
TopKShape shape_of(const spec::MixtureSpec& spec, const ExpertBank& bank) {
  int64_t out = 0;
  for (const BankTarget& target : bank.targets()) out += target.out;
  out /= static_cast<int64_t>(bank.targets().size());
  return {.k = *spec.select.k, .rank = spec.experts.rank, .in = bank.in(), .out = out};
}

}  // namespace

bool may_select_few(const spec::MixtureSpec& spec) {
  using enum spec::ExpertKind;
  const bool is_lora =
      (spec.experts.kind == kLora && !spec.experts.use_dora) || spec.experts.kind == kRankOne;
  const bool gate_reads_x = spec.gate.source == spec::GateSource::kInput ||
                            spec.gate.source == spec::GateSource::kBlockInput;
  return spec.attach == spec::Attach::kProjection && is_lora && spec.select.takes_k() &&
         gate_reads_x && !spec.select.inference_only &&
         spec.normalize != spec::Normalize::kLogits && spec.apply == spec::Apply::kDeltas;
}

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
      first_choice_(first_choice()),
      first_pass_weight_(spec.gate.first_pass_weight),
      default_task_(spec.gate.default_task.value_or(kNoTask)),
      hard_until_(spec.schedule.hard_until),
      dropout_(spec.experts.dropout),
      detach_input_(spec.experts.detach_input),
      top_k_table_(gate_ && may_select_few(spec) ? top_k_table() : nullptr) {
  if (top_k_table_) top_k_shape_ = shape_of(spec, *bank_);
}

std::vector<at::Tensor> SiteBank::apply(const nn::SocketInput& input,
                                        std::vector<at::Tensor> outputs,
                                        nn::ForwardContext& context) {
  if (context.is_first_pass && (!gate_ || first_pass_weight_ == 0.0)) return outputs;
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
  const at::Tensor a =
      bank_->a().defined() && !selects_few(x) ? bank_->a().to(x.scalar_type()) : at::Tensor();
  const auto down = [&] { return a.defined() ? nn::adapter_linear(x, a) : at::Tensor(); };
  BankInput stage = {x, is_masked, {}, {}};
  if (!gate_) {
    stage.down = down();
    return stage;
  }
  if (context.is_first_pass) {
    stage.down = down();
    stage.weights = at::full({x.size(0), 1, gate_->experts()}, first_pass_weight_, x.options());
    if (context.disabled_expert >= 0 && context.disabled_expert < gate_->experts())
      stage.weights.select(/*dim=*/2, context.disabled_expert).zero_();
    return stage;
  }
  at::Tensor* shared =
      share_ == spec::GateShare::kProjection ? nullptr : &context.shared_gates[gate_.get()];
  if (shared != nullptr && shared->defined()) {
    stage.down = down();
    stage.weights = own_weights(*shared);
    return stage;
  }

  if (context.is_training && context.progress < hard_until_) {
    stage.down = down();
    stage.weights = gate_->weights_by_task(x.size(0), context);
    if (shared != nullptr) *shared = stage.weights;
    stage.weights = own_weights(stage.weights);
    return stage;
  }
  const at::Tensor rows = gate_->stackable_rows();
  // Detached, x is the experts' alone: the gate reads what has a gradient.
  const bool reads_x = !detach_input_ && (source_ == spec::GateSource::kInput
                                              ? !stage.is_dropped
                                              : source_ == spec::GateSource::kBlockInput &&
                                                    input.block_input.is_same(x));
  if (a.defined() && rows.defined() && reads_x && rows.scalar_type() == x.scalar_type()) {
    const at::Tensor both = nn::adapter_linear(x, at::cat({a, rows}));
    stage.down = both.narrow(/*dim=*/1, 0, a.size(0));
    stage.weights =
        gate_->weights_of_rows(both.narrow(/*dim=*/1, a.size(0), rows.size(0)), context);
  } else {
    stage.down = down();
    stage.weights = gate_->weights(gate_input(input, stage.down, context), context);
  }
  if (shared != nullptr) *shared = stage.weights;
  stage.weights = own_weights(stage.weights);
  if (context.router_log != nullptr && context.router_log->keeps_inputs)
    gate_->log_input(gate_input(input, stage.down, context), *context.router_log);
  return stage;
}

bool SiteBank::selects_few(const at::Tensor& x) const {
  if (!top_k_table_) return false;
  TopKShape shape = top_k_shape_;
  shape.rows = std::max<int64_t>(1, x.size(0));
  shape.type = x.scalar_type();
  return top_k_table_->chooses_selected(bank_->experts(), shape);
}

int64_t SiteBank::first_choice() const {
  if (!gate_ || share_ != spec::GateShare::kModel) return 0;
  for (size_t i = 0; i < gate_->sites().size(); ++i)
    if (gate_->sites()[i].name == bank_->targets().front().site) return static_cast<int64_t>(i);
  return 0;  // one choice for the whole model
}

at::Tensor SiteBank::own_weights(const at::Tensor& weights) const {
  const auto own = static_cast<int64_t>(bank_->targets().size());
  if (share_ != spec::GateShare::kModel || weights.size(1) <= own) return weights;
  return weights.narrow(/*dim=*/1, first_choice_, own);
}

at::Tensor SiteBank::gate_input(const nn::SocketInput& input,
                                const at::Tensor& down,
                                const nn::ForwardContext& context) const {
  if (source_ == spec::GateSource::kInput) return input.x;
  if (source_ == spec::GateSource::kBlockInput) return input.block_input;
  if (source_ == spec::GateSource::kLearned) return input.x.narrow(/*dim=*/1, 0, 1);
  if (source_ == spec::GateSource::kLastHidden) {
    LMOE_CHECK_ARG(context.last_hidden.defined(),
                   "[route] gate.source last_hidden needs what the model ends with; forward the "
                   "whole decoder");
    return context.last_hidden;
  }
  if (source_ == spec::GateSource::kEmbedding) return embedded(context);
  const auto projections = static_cast<int64_t>(bank_->targets().size());
  if (source_ == spec::GateSource::kTaskId) {
    return task_one_hot(context, down.size(0), gate_->input_width(), default_task_, down.options())
        .unsqueeze(/*dim=*/1)
        .expand({-1, projections, -1});
  }
  return down.reshape({down.size(0), projections, down.size(1) / projections});
}

}  // namespace lmoe::mixture
