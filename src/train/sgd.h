// Stochastic gradient descent with momentum, and weight decay decoupled from it (Loshchilov &
// Hutter, algorithm 1). Without weight decay it is torch's.
#pragma once

#include <vector>

#include "train/optimizer.h"

namespace lmoe::train {

/// Its state is "momentum.<name>" where the recipe asks for momentum, and nothing otherwise.
class Sgd : public Optimizer {
 public:
  Sgd(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options);

 private:
  void update(const std::vector<size_t>& indices, double learning_rate) override;

  double factor_;
  std::vector<at::Tensor> momentum_;  ///< empty when `factor_` is 0
};

}  // namespace lmoe::train
