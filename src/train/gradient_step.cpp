#include "train/gradient_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "train/gradient_estimator.h"
#include "train/loss_guard.h"
#include "train/micro_batch.h"
#include "train/objective.h"

namespace lmoe::train {
namespace {

/// The draws of one micro-batch: a stream of their own, so that they depend neither on those before
/// nor on the number of workers.
Rng micro_batch_rng(uint64_t seed, int64_t step, size_t micro_batch) {
  constexpr uint64_t kDropoutStream = 0xd70;
  return Rng(seed, (kDropoutStream << 52) | (static_cast<uint64_t>(step) << 20) | micro_batch);
}

std::vector<std::span<const data::PackedRow>> split(std::span<const data::PackedRow> rows,
                                                    int64_t micro_batch_size) {
  std::vector<std::span<const data::PackedRow>> parts;
  const auto size = static_cast<size_t>(micro_batch_size);
  for (size_t begin = 0; begin < rows.size(); begin += size)
    parts.push_back(rows.subspan(begin, std::min(size, rows.size() - begin)));
  return parts;
}

/// ", the gate of layers.3.mlp.up_proj is not finite", the first such, or nothing.
std::string broken_gate_text(const nn::RouterLog& log) {
  for (const nn::GateRecord& record : log.records) {
    if (!at::isfinite(record.weights).all().item<bool>())
      return ", the gate of " + record.site + " is not finite";
  }
  return {};
}

class Gatherer {
 public:
  explicit Gatherer(const GradientStep& step)
      : step_(step),
        objective_(make_objective(step.decoder, step.mixture, step.reward_head)),
        estimator_(make_gradient_estimator(step.mixture)) {
    for (const data::PackedRow& row : step.rows) {
      result_.tokens += row.length();
      result_.labelled_tokens += row.labelled();
      units_ += objective_->units(row);
    }
    LMOE_CHECK_ARG(units_ > 0, "[train] step ", step.step, ": no ", objective_->unit(),
                   " of its rows carries loss");
    for (const nn::NamedTensor& parameter : step.mixture.parameters())
      if (parameter.tensor.requires_grad()) trained_.push_back(parameter.tensor);
  }

  GradientResult run() {
    const auto parts = split(step_.rows, step_.micro_batch_size);
    for (auto i = static_cast<size_t>(step_.worker); i < parts.size();
         i += static_cast<size_t>(step_.workers)) {
      if (step_.should_stop != nullptr && *step_.should_stop && (*step_.should_stop)()) {
        result_.interrupted = true;
        break;
      }
      is_last_ = i + static_cast<size_t>(step_.workers) >= parts.size();
      const MicroBatch batch = make_micro_batch(parts[i]);
      rng_ = micro_batch_rng(step_.seed, step_.step, i);
      const std::string where =
          concat("micro-batch ", i + 1, " of ", parts.size(), ", ", records_text(parts[i]));
      for (int64_t forward = 0; forward < estimator_->forwards(); ++forward) add(batch, where);
      estimator_->finish();
    }
    return std::move(result_);
  }

 private:
  void add(const MicroBatch& batch, const std::string& where) {
    nn::RouterLog router_log;
    nn::ForwardContext context;
    context.segments = batch.segments;
    context.positions = nn::make_positions(batch.segments);
    context.is_training = true;
    context.progress = step_.progress;
    context.dropout_rng = &rng_;
    context.first_pass_cache = step_.first_pass_cache;
    context.frozen_prefix_cache = step_.frozen_prefix_cache;
    if (step_.gradient_checkpointing) context.recompute_for = &trained_;
    router_log.segments = batch.segments;
    const spec::MixtureSpec& spec = step_.mixture.spec();
    if (spec.has_gate() || spec.has_prompts()) context.router_log = &router_log;

    const at::Tensor sum = objective_->loss_sum(batch, context).loss;
    const at::Tensor loss = sum / static_cast<double>(units_);
    const auto forwards = static_cast<double>(estimator_->forwards());
    const double share =
        static_cast<double>(batch.tokens) / static_cast<double>(result_.tokens) / forwards;
    const at::Tensor balance = balance_loss(router_log, share);
    const double value = (balance.defined() ? loss + balance : loss).item<double>();
    LossGuard::check_finite("loss", value, step_.step,
                            std::isfinite(value) ? where : where + broken_gate_text(router_log));
    result_.loss += sum.item<double>() / static_cast<double>(units_) / forwards;
    if (step_.want_statistics) result_.router.add(router_log);
    if (step_.mixture.spec().bias.use != spec::BiasUse::kNone) result_.selections.add(router_log);
    if (is_last_ && estimator_->forwards() == 1 && step_.before_last_backward != nullptr)
      (*step_.before_last_backward)();
    estimator_->add(loss, balance, router_log);
  }

  at::Tensor balance_loss(const nn::RouterLog& router_log, double share) {
    std::map<std::string, double> values;
    const at::Tensor loss = step_.mixture.auxiliary_loss(router_log, &values);
    if (!loss.defined()) return {};
    for (const auto& [name, value] : values) result_.balance[name] += share * value;
    return loss * share;
  }

  const GradientStep& step_;
  std::unique_ptr<Objective> objective_;
  Rng rng_{0};  ///< of the micro-batch under way
  bool is_last_ = false;
  std::vector<at::Tensor> trained_;
  std::unique_ptr<GradientEstimator> estimator_;
  int64_t units_ = 0;  ///< of the whole step
  GradientResult result_;
};

}  // namespace

GradientResult gather_gradients(const GradientStep& step) { return Gatherer(step).run(); }

}  // namespace lmoe::train
