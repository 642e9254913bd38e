// Rows of linear gates for a new expert, in closed form from samples of what it is for.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "mixture/mixture.h"

namespace lmoe::mixture {

/// By site of a gate: the row [D] that gives a new expert its logit. Sites without one get zeros:
/// a logit of 0 for every token.
using GateRows = std::map<std::string, at::Tensor>;

/// What the gates read on some samples, from which a new expert's rows follow in closed form.
///
/// With m the mean of a gate's inputs and l the mean over the samples of the largest logit, the row
/// is l m / |m|^2: on these samples the new expert's logit is on average that of the expert each
/// token would have chosen. The key of a cosine gate is m itself.
class GateInputs {
 public:
  explicit GateInputs(const Mixture& mixture);

  /// Of a forward with a router log that keeps inputs.
  void add(const nn::RouterLog& log);
  GateRows rows() const;

 private:
  struct Site {
    at::Tensor weight;         ///< [E, D]
    at::Tensor sum;            ///< [D], of the inputs, float64
    double largest_sum = 0.0;  ///< of the largest logits
    int64_t tokens = 0;
  };
  bool are_keys_;
  std::map<std::string, Site> sites_;
};

}  // namespace lmoe::mixture
