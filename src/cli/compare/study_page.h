// A study for people: a Markdown table and one page.
#pragma once

#include <string>

#include "base/json.h"

namespace lmoe::cli {

/// One row per method of `study` (study_json), then what a reader must know to judge it: how rates
/// were chosen, sizes and tokens that differ, rates at the edge of those tried, runs that failed.
std::string study_markdown(const Json& study);

/// compare.html; `recipe` is shown at its end.
std::string study_page(const Json& study, const Json& recipe);

}  // namespace lmoe::cli
