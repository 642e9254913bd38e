// The tokenizer that a tokenizer.json describes: added tokens, normaliser, pre-tokeniser, BPE,
// post-processor, decoder.
#pragma once

#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_file.h"

namespace lmoe::text {

class BpeTokenizer final : public Tokenizer {
 public:
  /// `source` is the text `file` was read from, or empty. `config` is tokenizer_config.json, or
  /// null.
  BpeTokenizer(TokenizerFile file, std::string source, const Json& config);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string token_bytes(TokenId id) const override;
  std::string first_token_bytes(TokenId id) const override;
  int64_t vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  std::string id_to_token(TokenId id) const override;
  bool is_special(TokenId id) const override;
  const SpecialTokens& special_tokens() const override { return special_; }
  bool strips_leading_space() const override { return decoder_.strips_leading_space(); }

  std::string json_text() const;

 private:
  void read_special_tokens(const Json& config);
  void encode_text(std::string_view text,
                   bool at_start,
                   bool parse_special,
                   std::vector<TokenId>& out) const;
  void check_id(TokenId id) const;
  /// The token as the decoder takes it.
  const std::string& decoder_input(TokenId id) const;

  TokenizerFile file_;
  std::string source_;
  PreTokenizer pre_tokenizer_;
  BpeModel model_;
  Normalizer normalizer_;
  AddedTokens added_;
  Decoder decoder_;
  int64_t vocab_size_;
  PostProcessor post_processor_;
  SpecialTokens special_;
};

}  // namespace lmoe::text
