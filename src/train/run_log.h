// log.jsonl: one line per reported step.
#pragma once

#include <cstdint>
#include <filesystem>

#include "train/step_report.h"

namespace lmoe::train {

/// Keeps the lines up to `step` (0 removes the file): what a resumed run has already reported.
void begin_log(const std::filesystem::path& path, int64_t step);

/// Throws kIo.
void append_report(const std::filesystem::path& path, const StepReport& report);

}  // namespace lmoe::train
