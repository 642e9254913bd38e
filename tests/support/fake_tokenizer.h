// A tokenizer whose vocabulary is written in the test: ids are positions in the list, encoding
// takes the longest token that fits.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace lmoe::test {

class FakeTokenizer : public text::Tokenizer {
 public:
  /// Tokens like "<eos>" are special; "<eos>" and "<bos>" become those ids. `adds_bos` puts "<bos>"
  /// first when special tokens are asked for.
  explicit FakeTokenizer(std::vector<std::string> tokens, bool adds_bos = false)
      : tokens_(std::move(tokens)), adds_bos_(adds_bos) {
    special_.eos = token_to_id("<eos>");
    special_.bos = token_to_id("<bos>");
  }

  std::vector<text::TokenId> encode(std::string_view text,
                                    const text::EncodeOptions& options) const override {
    std::vector<text::TokenId> ids;
    if (adds_bos_ && options.add_special_tokens) ids.push_back(*special_.bos);
    while (!text.empty()) {
      const text::TokenId id = longest_match(text);
      LMOE_CHECK_ARG(id >= 0, "[fake tokenizer] no token for: ", text);
      ids.push_back(id);
      text.remove_prefix(tokens_[id].size());
    }
    return ids;
  }
  std::string decode(std::span<const text::TokenId> ids, bool skip_special) const override {
    std::string text;
    for (const text::TokenId id : ids)
      if (!skip_special || !is_special(id)) text += token_bytes(id);
    return text;
  }
  std::string token_bytes(text::TokenId id) const override { return tokens_.at(id); }
  int64_t vocab_size() const override { return std::ssize(tokens_); }
  std::optional<text::TokenId> token_to_id(std::string_view token) const override {
    const auto found = std::find(tokens_.begin(), tokens_.end(), token);
    if (found == tokens_.end()) return std::nullopt;
    return static_cast<text::TokenId>(found - tokens_.begin());
  }
  std::string id_to_token(text::TokenId id) const override { return tokens_.at(id); }
  bool is_special(text::TokenId id) const override {
    const std::string& token = tokens_.at(id);
    return token.size() > 2 && token.front() == '<' && token.back() == '>';
  }
  const text::SpecialTokens& special_tokens() const override { return special_; }
  bool strips_leading_space() const override { return false; }

  text::TokenId id(std::string_view token) const { return token_to_id(token).value(); }

 private:
  text::TokenId longest_match(std::string_view text) const {
    text::TokenId best = -1;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const bool fits = !tokens_[i].empty() && text.starts_with(tokens_[i]);
      if (fits && (best < 0 || tokens_[i].size() > tokens_[best].size()))
        best = static_cast<text::TokenId>(i);
    }
    return best;
  }

  std::vector<std::string> tokens_;
  bool adds_bos_;
  text::SpecialTokens special_;
};

}  // namespace lmoe::test
