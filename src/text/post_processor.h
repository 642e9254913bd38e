// Post-processors of tokenizer.json: the special tokens around a text.
#pragma once

#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace lmoe::text {

struct PostProcessor {
  std::vector<TokenId> before, after;
  SpecialTokens
      special;  ///< from the entries below, all that tokenizer.json itself can say of them
};

/// Entries of a TemplateProcessing's `special_tokens` that no template uses: they carry bos_token
/// and its like, which Hugging Face folders keep in tokenizer_config.json, through a lone
/// tokenizer.json that every reader accepts.
struct SpecialTokenName {
  const char* name;
  std::optional<TokenId> SpecialTokens::*field;
};
inline constexpr SpecialTokenName kSpecialTokenNames[] = {{"bos_token", &SpecialTokens::bos},
                                                          {"eos_token", &SpecialTokens::eos},
                                                          {"unk_token", &SpecialTokens::unk},
                                                          {"pad_token", &SpecialTokens::pad}};

/// `json` may be null. Ids must be below `id_bound`. Throws kCorruptData, kUnsupported.
PostProcessor make_post_processor(const Json& json, int64_t id_bound);

}  // namespace lmoe::text
