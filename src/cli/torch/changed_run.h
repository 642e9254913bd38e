// The folder of a run whose experts were changed.
#pragma once

#include <filesystem>

#include "mixture/mixture.h"

namespace lmoe::cli {

/// `target` becomes a whole run with `mixture`: the base record, tokenizer and template of `run`,
/// its recipe with the new mixture, and a manifest. Written aside and renamed. Throws
/// kInvalidArgument when `target` exists, kIo.
void write_changed_run(const std::filesystem::path& run,
                       const mixture::Mixture& mixture,
                       const std::filesystem::path& target);

}  // namespace lmoe::cli
