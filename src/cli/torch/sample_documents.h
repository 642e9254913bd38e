// Documents of files, as a model that learns from them without training wants them.
#pragma once

#include <string>
#include <vector>

#include "cli/torch/model_choice.h"
#include "runner/document.h"

namespace lmoe::cli {

struct SampleDocuments {
  std::vector<runner::Document> documents;
  std::vector<std::string> origins;  ///< the data set of each
};

/// The first `most` documents of each file (or FILE#count, or the `split` of a folder), rendered as
/// in training.
SampleDocuments read_documents(const std::vector<std::string>& files,
                               const ChosenModel& model,
                               int64_t most,
                               const std::string& split);

}  // namespace lmoe::cli
