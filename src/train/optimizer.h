// What turns gradients into a step. The recipe's `optimizer` names one:
//
//   const auto optimizer = make_optimizer(mixture.parameters(), recipe.optimizer);
//   optimizer->step(learning_rate);
//
// The same inputs give the same bits: every element is updated on its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/projection.h"
#include "recipe/optimizer_options.h"

namespace lmoe::train {

/// Gates learn at router_lr_multiplier times the rate; their names contain ".gate.".
bool is_router_parameter(const nn::NamedTensor& parameter);

class Optimizer {
 public:
  /// Throws kInvalidArgument for tensors that are not contiguous floating point.
  Optimizer(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update from the gradients, at this rate. Parameters without a gradient stay as they are.
  void step(double learning_rate);
  int64_t steps() const { return steps_; }

  /// What it remembers of earlier steps, "<what>.<parameter>", float32; sharing memory.
  const std::vector<nn::NamedTensor>& state() const { return state_; }
  /// As if it had made no step yet.
  void forget();
  /// After the tensors of `state` have been filled from a checkpoint.
  void set_steps(int64_t steps) { steps_ = steps; }

  const std::vector<nn::NamedTensor>& parameters() const { return parameters_; }

 protected:
  /// `indices` of the parameters that have a gradient and learn at this rate.
  virtual void update(const std::vector<size_t>& indices, double learning_rate) = 0;
  /// Zeros like every parameter, in `state` under `what`.
  std::vector<at::Tensor> remember(const std::string& what);
  /// The same with one number, [1], for each.
  std::vector<at::Tensor> remember_number(const std::string& what);
  const recipe::OptimizerOptions& options() const { return options_; }

 private:
  std::vector<nn::NamedTensor> parameters_, state_;
  recipe::OptimizerOptions options_;
  int64_t steps_ = 0;
};

std::unique_ptr<Optimizer> make_optimizer(std::vector<nn::NamedTensor> parameters,
                                          const recipe::OptimizerOptions& options);

}  // namespace lmoe::train
