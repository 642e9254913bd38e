// One example as a person wants to see it: text with the supervised tokens marked.
#pragma once

#include <string>

#include "data/render.h"

namespace lmoe::data {

struct PreviewMarks {
  std::string open = "«";  ///< before each run of supervised tokens
  std::string close = "»";
  std::string token_border = "|";  ///< between supervised tokens
  std::string passage_open = "⟦";  ///< before each passage and its number
  std::string passage_close = "⟧";
};

/// Text, then ids. Bytes that are no whole character are shown as <0xE2>, special tokens by name.
std::string preview(const Example& example,
                    const text::Tokenizer& tokenizer,
                    const PreviewMarks& marks = {});

}  // namespace lmoe::data
