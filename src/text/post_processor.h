// Post-processors of tokenizer.json: the special tokens around a text.
#pragma once

#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace lmoe::text {

struct PostProcessor {
  std::vector<TokenId> before, after;
};

/// `json` may be null. Ids must be below `id_bound`. Throws kCorruptData, kUnsupported.
PostProcessor make_post_processor(const Json& json, int64_t id_bound);

}  // namespace lmoe::text
