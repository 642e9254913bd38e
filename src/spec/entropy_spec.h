// Which entropy of the routing probabilities: for the loss `entropy` and the selection
// `entropy_switch`.
#pragma once

#include "base/options.h"

namespace lmoe::spec {

/// H(p) = (1 - sum (p_i + epsilon)^order) / (order - 1), Tsallis; order 1 is Shannon's, in nats.
struct EntropySpec {
  double order = 1.0;      ///< dynmole.md has 1.1
  bool normalized = true;  ///< divided by the entropy of equal probabilities without epsilon
  double epsilon = 0.0;    ///< added to each probability; DynMoLE's code has 1e-5

  bool operator==(const EntropySpec&) const = default;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("order", order, "Tsallis order; 1 is Shannon's entropy").range(0.01, 100.0));
    visit(field("normalized", normalized, "divided by its greatest value"));
    visit(field("epsilon", epsilon, "added to each probability").range(0.0, 1.0));
  }
};

}  // namespace lmoe::spec
