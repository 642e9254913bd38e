// What the report shows of a run, gathered from the files of its folder: log.jsonl,
// config_effective.json, eval.json.
#pragma once

#include <filesystem>

#include "base/json.h"

namespace lmoe::cli {

/// The object that report::render_report takes. Files that are missing leave their part out. Throws
/// kCorruptData.
Json report_data(const std::filesystem::path& run);

/// The `router` of that object from one result of eval.json; empty without a router.
Json router_usage(const Json& result);

/// report.html and loss.svg of the run, written whole; returns the page's path.
std::filesystem::path write_report(const std::filesystem::path& run);

}  // namespace lmoe::cli
