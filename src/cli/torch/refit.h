// `lmoe experts RUN refit`: gates by clusters of documents instead of gradients.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/torch/model_choice.h"

namespace lmoe::cli {

/// From the first 256 documents of each file (or FILE#count); prints which expert got what. Throws
/// kInvalidArgument without files, kInterrupted, and as mixture::with_gates_refitted.
std::unique_ptr<mixture::Mixture> refit_on(const std::vector<std::string>& files,
                                           std::optional<double> ridge,
                                           ChosenModel& model);

}  // namespace lmoe::cli
