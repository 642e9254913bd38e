// How often each expert was chosen, gathered over the micro-batches of one optimizer step.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "nn/forward_context.h"

namespace lmoe::mixture {

class SelectionCounts {
 public:
  /// Adds what the gates of one forward selected. Forwards that repeat another one (recomputation)
  /// must not be added.
  void add(const nn::RouterLog& log);
  /// [E] in float64; undefined when the site was never added.
  at::Tensor of(const std::string& site) const;

 private:
  std::map<std::string, at::Tensor> counts_;
};

}  // namespace lmoe::mixture
