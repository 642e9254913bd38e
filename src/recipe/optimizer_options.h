// The optimizer, the learning rate over time and the clipping of gradients.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/options.h"

namespace lmoe::recipe {

/// Both with decoupled weight decay (Loshchilov & Hutter); torch's defaults.
enum class Optimizer { kAdamW, kSgd };
std::span<const EnumName<Optimizer>> enum_names(Optimizer);

enum class LrScheduler { kCosine, kLinear, kConstant };
std::span<const EnumName<LrScheduler>> enum_names(LrScheduler);

struct OptimizerOptions {
  Optimizer optimizer = Optimizer::kAdamW;
  double learning_rate = 2e-4;
  double router_lr_multiplier = 1.0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  std::optional<double> sgd_momentum;  ///< of sgd; empty: 0
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;
  LrScheduler lr_scheduler = LrScheduler::kCosine;
  std::optional<double> warmup_ratio = 0.03;  ///< empty with warmup_steps, or `constant` alone
  std::optional<int64_t> warmup_steps;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "optimizer";
    visit(field("optimizer", optimizer, "adamw or sgd").section(section).alias("optim"));
    visit(field("learning_rate", learning_rate, "peak rate")
              .section(section)
              .range(0.0, 10.0)
              .alias("lr"));
    visit(field("router_lr_multiplier", router_lr_multiplier,
                "the gates learn at this multiple of learning_rate")
              .section(section)
              .range(0.0, 1e4));
    visit(field("adam_beta1", adam_beta1, "decay of the mean of gradients")
              .section(section)
              .range(0.0, 0.999999));
    visit(field("adam_beta2", adam_beta2, "decay of the mean of squared gradients")
              .section(section)
              .range(0.0, 0.99999999));
    visit(field("adam_epsilon", adam_epsilon, "added to the root of the latter")
              .section(section)
              .range(1e-30, 1.0));
    visit(field("sgd_momentum", sgd_momentum, "share of the step before that sgd adds to a step")
              .section(section)
              .range(0.0, 0.999999));
    visit(field("weight_decay", weight_decay, "decoupled from the gradient")
              .section(section)
              .range(0.0, 10.0));
    visit(field("max_grad_norm", max_grad_norm,
                "gradients of a step are scaled down to this length; 0: never")
              .section(section)
              .range(0.0));
    visit(field("lr_scheduler", lr_scheduler,
                "learning rate after the warm-up; constant warms up only where asked, "
                "constant_with_warmup always")
              .section(section)
              .alias("lr_scheduler_type")
              .alias("lr_schedule"));
    visit(field("warmup_ratio", warmup_ratio, "share of the steps that warm up linearly")
              .section(section)
              .range(0.0, 1.0));
    visit(field("warmup_steps", warmup_steps, "steps that warm up, instead of warmup_ratio")
              .section(section)
              .range(0));
  }
};

}  // namespace lmoe::recipe
