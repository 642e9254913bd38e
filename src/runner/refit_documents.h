// What a refit of gates needs of documents: their contexts, and the loss of every expert on them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "mixture/refit_gates.h"
#include "mixture/refit_references.h"
#include "models/decoder.h"
#include "runner/document.h"

namespace lmoe::runner {

/// `mixture` is plugged into `decoder`, and is so afterwards. Reads each document once with the
/// mixture and once with each expert alone; `progress` counts these forwards. Throws as
/// mixture::with_gates_refitted, and kInvalidArgument for a document without a label.
mixture::RefittedGates refit_on_documents(const models::Decoder& decoder,
                                          mixture::Mixture& mixture,
                                          std::span<const Document> documents,
                                          double ridge,
                                          const std::function<void(int64_t, int64_t)>& progress);

/// `references` are shared out among the documents, at most so many in all.
struct ReferenceOptions {
  int64_t references = 1024;
  nn::Retrieval retrieval;
};

struct RefittedReferences {
  std::unique_ptr<mixture::Mixture> mixture;
  std::vector<int64_t> expert_of;  ///< of each document: the one with the lowest loss on it
};

/// The same with gates that ask references (gate.net nearest): what gates read of tokens of the
/// documents, with the expert that answers the document best. Throws as mixture::with_references,
/// and kInvalidArgument for more documents than references and for one without a label.
RefittedReferences refit_references(const models::Decoder& decoder,
                                    mixture::Mixture& mixture,
                                    std::span<const Document> documents,
                                    const ReferenceOptions& options,
                                    const std::function<void(int64_t, int64_t)>& progress);

}  // namespace lmoe::runner
