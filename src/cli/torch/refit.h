// `lmoe experts RUN refit`: gates from documents instead of gradients.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/torch/model_choice.h"

namespace lmoe::cli {

/// How; what is not set is the default of the part that it belongs to.
struct RefitChoice {
  std::string net = "linear";                            ///< or nearest
  std::optional<double> ridge;                           ///< linear
  std::optional<int64_t> references, neighbours, heads;  ///< nearest
  std::optional<double> temperature;                     ///< nearest
};

/// --net, --ridge, --references, …
void add_refit_options(CLI::App& app, RefitChoice& choice);
/// Throws kInvalidArgument for what cannot act with `action`, or with the net.
void check_refit_options(const RefitChoice& choice, const std::string& action);

/// From the first 256 documents of each file (or FILE#count); prints which expert got what. Throws
/// kInvalidArgument without files, kInterrupted, and as mixture::with_gates_refitted
/// or, for net nearest, runner::refit_references.
std::unique_ptr<mixture::Mixture> refit_on(const std::vector<std::string>& files,
                                           const RefitChoice& choice,
                                           ChosenModel& model);

}  // namespace lmoe::cli
