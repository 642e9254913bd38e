// Metadata values of a GGUF file.
#pragma once

#include "io/byte_reader.h"
#include "io/gguf.h"

namespace lmoe::io {

/// Reads a type id and the value. Throws kCorruptData (ends early, unknown type, nested list);
/// `key` is for messages.
GgufValue read_gguf_value(ByteReader& reader, const std::string& key);

}  // namespace lmoe::io
