// Messages for people, on stderr, one per line. Rooms below `cli` log; only `cli` prints results.
#pragma once

#include <spdlog/spdlog.h>

namespace lmoe {

/// The program's logger: plain text on stderr, "warning: " and "note: " as prefixes where they
/// apply.
spdlog::logger& log();

}  // namespace lmoe
