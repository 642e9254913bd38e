// The JSON objects of a data file, one by one, with the line each stands on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"

namespace lmoe::data {

/// A longer line is refused instead of read.
inline constexpr size_t kMaxLineBytes = size_t{64} << 20;

/// Calls `take(object, line)` for each record until it returns false. JSON lines: blank lines are
/// passed over, `line` is the 1-based line. A file that begins with "[" is one JSON list: `line` is
/// the 1-based item. Throws kNotFound, kCorruptData with file and line.
void read_json_records(const std::filesystem::path& file,
                       const std::function<bool(const Json& object, int64_t line)>& take);

}  // namespace lmoe::data
