// The end of a training run: a look at what it learned, and its page.
#pragma once

#include <filesystem>

#include "cli/torch/run_setup.h"

namespace lmoe::cli {

/// Scores `data.first_look`, watches the router, keeps sample answers, writes eval.json and
/// report.html, and says where. What `lmoe eval` wrote into eval.json is kept. Throws kInterrupted.
void write_run_report(const std::filesystem::path& run, const DataSetup& data, ModelSetup& model);

}  // namespace lmoe::cli
