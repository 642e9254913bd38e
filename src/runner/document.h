// A text that a model is asked about as a whole.
#pragma once

#include <cstdint>
#include <vector>

#include "base/passage.h"

namespace lmoe::runner {

/// Token ids, with labels as in data::Example: an id where it is to be predicted, else negative.
struct Document {
  std::vector<int32_t> ids, labels;
  Passages passages = {};
};

}  // namespace lmoe::runner
