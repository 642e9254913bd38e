// --references and what belongs to it: answers that are mixed with what a model says, without
// training it (reference trustable decoding).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/torch/model_choice.h"

namespace lmoe::cli {

/// What a folder of --references stands for.
inline constexpr char kReferenceSplit[] = "train";

struct ReferenceChoice {
  std::vector<std::string> files;
  std::optional<double> weight, temperature;
  std::optional<int64_t> count, neighbours, heads;

  void add_to(CLI::App& app);
  /// Throws kInvalidArgument for files without a weight and for settings without files.
  void check() const;
};

/// Collects references of the files with the model as it is, and lets it ask them from now on; its
/// name says how. Nothing without files. Throws kInvalidArgument for a reward model, files with
/// nothing to predict, more neighbours than references, heads that do not divide the hidden size.
void ask_references(const ReferenceChoice& choice, ChosenModel& model);

}  // namespace lmoe::cli
