// What a refit of gates needs of documents: their contexts, and the loss of every expert on them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "mixture/refit_gates.h"
#include "models/decoder.h"

namespace lmoe::runner {

/// Token ids, with labels as in data::Example: an id where it is to be predicted, else negative.
struct Document {
  std::vector<int32_t> ids, labels;
};

/// `mixture` is plugged into `decoder`, and is so afterwards. Reads each document once with the
/// mixture and once with each expert alone; `progress` counts these forwards. Throws as
/// mixture::with_gates_refitted, and kInvalidArgument for a document without a label.
mixture::RefittedGates refit_on_documents(const models::Decoder& decoder,
                                          mixture::Mixture& mixture,
                                          std::span<const Document> documents,
                                          double ridge,
                                          const std::function<void(int64_t, int64_t)>& progress);

}  // namespace lmoe::runner
