// Pre-tokenizers that GGUF files only name (`tokenizer.ggml.pre`).
#pragma once

#include <string>

#include "base/json.h"

namespace lmoe::text {

struct NamedPreTokenizer {
  Json pre_tokenizer;          ///< as in tokenizer.json
  bool ignore_merges = false;  ///< a word that is a token stays whole
};

/// Throws kUnsupported with the list of known names.
NamedPreTokenizer gguf_pre_tokenizer(const std::string& name);

}  // namespace lmoe::text
