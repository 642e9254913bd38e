// tokenizer.json as data: the small parts as JSON, vocabulary and merges as lists.
//
// They are read in one pass without building a JSON tree of hundreds of thousands of entries.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace lmoe::text {

struct TokenizerFile {
  Json parts;  ///< everything but model.vocab and model.merges
  std::vector<std::pair<std::string, TokenId>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Throws kCorruptData for bad JSON, duplicate keys, nesting beyond 64, wrong types in vocabulary
/// and merges.
TokenizerFile parse_tokenizer_file(std::string_view json);

std::string to_json_text(const TokenizerFile& file);

}  // namespace lmoe::text
