// JSON from strangers: depth, number of keys and duplicates are checked while it is read.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.h"

namespace lmoe::io {

struct JsonLimits {
  int max_depth = 64;
  size_t max_keys = 10'000;  ///< per object: keys of our JSON type are searched one by one
  size_t max_bytes = 64 << 20;
};

/// Throws kCorruptData for what the JSON library passes over: a byte-order mark, and NUL bytes,
/// which it takes for the end of the text.
void check_json_bytes(std::string_view text, const std::string& file);

/// An object or list. Throws kCorruptData naming `file`.
Json parse_json(std::string_view text, const std::string& file, const JsonLimits& limits = {});

/// The same for large objects: keys are sorted, so there may be any number of them.
nlohmann::json parse_large_json(std::string_view text, const std::string& file);

/// Throws also kNotFound.
Json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace lmoe::io
