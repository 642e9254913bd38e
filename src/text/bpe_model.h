// Byte-pair encoding: a word becomes its characters (or bytes), then the pair of lowest rank is
// merged again and again.
//
// Ties go to the left, as in the `tokenizers` library. n log n in the length of a word.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/pair_table.h"
#include "text/tokenizer_file.h"
#include "text/word_cache.h"

namespace lmoe::text {

class BpeModel {
 public:
  /// `file.parts["model"]` holds the options. With `byte_level` words are raw bytes. Throws
  /// kCorruptData for duplicate tokens or ids, unknown tokens in merges, missing byte tokens;
  /// kUnsupported for other models and options.
  BpeModel(const TokenizerFile& file, bool byte_level);

  /// Appends the ids of one word.
  void tokenize(std::string_view word, std::vector<TokenId>& out) const;

  /// One past the largest id.
  int64_t id_bound() const { return static_cast<int64_t>(tokens_.size()); }
  std::optional<TokenId> find(std::string_view token) const;
  /// Empty for an id that no token has.
  const std::string& token(TokenId id) const { return tokens_[static_cast<size_t>(id)]; }
  std::optional<TokenId> unk() const { return unk_; }
  /// The byte a `<0xNN>` token stands for, where byte_fallback is on.
  std::optional<uint8_t> fallback_byte(TokenId id) const;

 private:
  void read_vocab(const TokenizerFile& file);
  void read_options(const Json& model);
  void read_byte_tokens();
  void read_merges(const TokenizerFile& file);
  void first_symbols(std::string_view word, std::vector<TokenId>& out) const;
  void byte_symbols(std::string_view word, std::vector<TokenId>& out) const;
  bool fall_back(std::string_view character, std::vector<TokenId>& out) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, TokenId> ids_;
  PairTable merges_;
  std::array<TokenId, 256> byte_tokens_{};
  std::optional<TokenId> unk_;
  bool byte_level_;
  bool byte_fallback_ = false;
  bool fuse_unk_ = false;
  bool ignore_merges_ = false;
  WordCache cache_;
};

}  // namespace lmoe::text
