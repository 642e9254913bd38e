// Parts of parameters that training leaves as they are, bit for bit: experts.frozen.
#pragma once

#include <vector>

#include "mixture/mixture.h"

namespace lmoe::train {

class FrozenParts {
 public:
  /// Takes the values they have now.
  explicit FrozenParts(const mixture::Mixture& mixture);

  /// Before the gradients are measured, clipped and used: the parts have none.
  void clear_gradients() const;
  /// After an optimizer step, whose weight decay does not ask for gradients.
  void restore() const;

 private:
  struct Part {
    mixture::PartOfParameter part;
    at::Tensor value;
  };
  std::vector<Part> parts_;
};

}  // namespace lmoe::train
