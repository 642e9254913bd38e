// What the routers did in one step, by layer: entropy of the gates and load of the experts.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "nn/forward_context.h"

namespace lmoe::train {

class RouterStatistics {
 public:
  /// Adds the gates of one forward.
  void add(const nn::RouterLog& log);

  /// Mean over tokens and gates of a layer of -sum p log p, in nats; layers in order.
  std::vector<double> entropy() const;
  /// Share of the gate weights that each expert of a layer received; sums to 1.
  std::vector<std::vector<double>> load() const;
  /// Everything the above are made of; sums over parts of a step add up.
  std::vector<double*> sums();

 private:
  struct Layer {
    double entropy_sum = 0.0;
    double gate_tokens = 0.0;
    std::vector<double> weight_sums;
  };
  std::map<int, Layer> layers_;
};

}  // namespace lmoe::train
