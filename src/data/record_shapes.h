// The shapes of records: how each is recognised, read, and which keys it uses.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "data/record.h"

namespace lmoe::data {

/// Throws kCorruptData with file and line for anything that does not fit the shape.
Record read_record(RecordType type, const Json& object, const std::string& file, int64_t line);

/// Every key a record of this shape may have.
std::span<const std::string_view> known_keys(RecordType type);

/// "alpaca (instruction, output)", … for messages.
std::string shapes_text();

}  // namespace lmoe::data
