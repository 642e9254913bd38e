// AdamW with decoupled weight decay (Loshchilov & Hutter, algorithm 2); moments in float32.
#pragma once

#include <vector>

#include "train/optimizer.h"

namespace lmoe::train {

/// Its state is "exp_avg.<name>", "exp_avg_sq.<name>" and "step.<name>". Steps are counted by
/// parameter: the moments of one whose first gradient comes late are as young as they are. One pass
/// over all parameters reads gradient, value and moments; bits are those of updates one by one.
class AdamW : public Optimizer {
 public:
  AdamW(std::vector<nn::NamedTensor> parameters, const recipe::OptimizerOptions& options);

 private:
  void update(const std::vector<size_t>& indices, double learning_rate) override;

  std::vector<at::Tensor> values_, exp_avg_, exp_avg_sq_;  ///< as [N]; `values_` of parameters
  std::vector<at::Tensor> steps_;                          ///< [1]
};

}  // namespace lmoe::train
