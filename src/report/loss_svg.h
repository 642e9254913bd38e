// loss.svg: training and validation loss over steps as a plain picture, for README files and logs.
#pragma once

#include <string>

#include "base/json.h"

namespace lmoe::report {

/// SVG text of the entries that log_from_jsonl returns; a picture without curves when none has a
/// loss. Entries without a finite loss are left out.
std::string loss_svg(const Json& log);

}  // namespace lmoe::report
