// AdamW with decoupled weight decay over named tensors; moments in float32.
//
// The same inputs give the same bits: every element is updated on its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "nn/projection.h"
#include "recipe/optimizer_options.h"

namespace lmoe::train {

/// Gates learn at router_lr_multiplier times the rate; their names contain ".gate.".
bool is_router_parameter(const nn::NamedTensor& parameter);

class AdamW {
 public:
  AdamW(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options);

  /// One update from the gradients, at this rate. Parameters without a gradient stay as they are.
  void step(double learning_rate);
  int64_t steps() const { return steps_; }

  /// "exp_avg.<name>", "exp_avg_sq.<name>" and "step.<name>" of every parameter, float32; sharing
  /// memory. Steps are counted by parameter: the moments of one whose first gradient comes late are
  /// as young as they are.
  std::vector<nn::NamedTensor> state() const;
  /// After the tensors of `state` have been filled from a checkpoint.
  void set_steps(int64_t steps) { steps_ = steps; }

  const std::vector<nn::NamedTensor>& parameters() const { return parameters_; }

 private:
  struct Slot {
    at::Tensor parameter, exp_avg, exp_avg_sq, step;
  };
  void update(const std::vector<Slot>& slots, double learning_rate);

  std::vector<nn::NamedTensor> parameters_;
  recipe::OptimizerOptions options_;
  std::vector<Slot> experts_, routers_;
  std::vector<nn::NamedTensor> state_;
  int64_t steps_ = 0;
};

}  // namespace lmoe::train
