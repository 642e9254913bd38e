// A tokenizer one can compute by hand: the id of a byte is its value, special tokens follow from
// 256 on. With `dummy_space` it behaves as SentencePiece does and puts a space before each text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace lmoe::test {

class ByteTokenizer : public text::Tokenizer {
 public:
  enum : text::TokenId { kBos = 256, kEos = 257, kStart = 258, kEnd = 259 };

  explicit ByteTokenizer(bool adds_bos = false, bool dummy_space = false, bool adds_eos = false)
      : adds_bos_(adds_bos), dummy_space_(dummy_space), adds_eos_(adds_eos) {
    special_.bos = kBos;
    special_.eos = kEos;
  }

  std::vector<text::TokenId> encode(std::string_view text,
                                    const text::EncodeOptions& options) const override {
    std::vector<text::TokenId> ids;
    if (adds_bos_ && options.add_special_tokens) ids.push_back(kBos);
    if (dummy_space_ && !text.empty()) ids.push_back(' ');
    while (!text.empty()) {
      text::TokenId id = static_cast<unsigned char>(text[0]);
      size_t length = 1;
      for (size_t i = 0; options.parse_special && i < names().size(); ++i) {
        if (!text.starts_with(names()[i])) continue;
        id = static_cast<text::TokenId>(256 + i);
        length = names()[i].size();
      }
      ids.push_back(id);
      text.remove_prefix(length);
    }
    if (adds_eos_ && options.add_special_tokens) ids.push_back(kEos);
    return ids;
  }
  std::string decode(std::span<const text::TokenId> ids, bool skip_special) const override {
    std::string text;
    for (const text::TokenId id : ids)
      if (!skip_special || !is_special(id)) text += token_bytes(id);
    return text;
  }
  std::string token_bytes(text::TokenId id) const override { return id_to_token(id); }
  int64_t vocab_size() const override { return 256 + std::ssize(names()); }
  std::optional<text::TokenId> token_to_id(std::string_view token) const override {
    for (size_t i = 0; i < names().size(); ++i)
      if (names()[i] == token) return static_cast<text::TokenId>(256 + i);
    if (token.size() != 1) return std::nullopt;
    return static_cast<unsigned char>(token[0]);
  }
  std::string id_to_token(text::TokenId id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id))
                    : names().at(static_cast<size_t>(id - 256));
  }
  bool is_special(text::TokenId id) const override { return id >= 256; }
  const text::SpecialTokens& special_tokens() const override { return special_; }
  bool strips_leading_space() const override { return dummy_space_; }

  static const std::vector<std::string>& names() {
    static const std::vector<std::string> kNames = {"<s>", "</s>", "<|start|>", "<|end|>"};
    return kNames;
  }

 private:
  bool adds_bos_, dummy_space_, adds_eos_;
  text::SpecialTokens special_;
};

/// "User: x" with the special tokens of ByteTokenizer written by name.
inline std::vector<text::TokenId> ids_of(std::string_view text) {
  return ByteTokenizer().encode(text, {.add_special_tokens = false, .parse_special = true});
}

}  // namespace lmoe::test
