// Tokenizers: text to ids and back. Two kinds: byte-level BPE (GPT-2 style) and SentencePiece-style
// BPE.
//
// Ids equal those of the Hugging Face `tokenizers` library for the same tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lmoe::text {

using TokenId = int32_t;

struct EncodeOptions {
  /// Adds what the tokenizer's post-processor adds (BOS, …).
  bool add_special_tokens = true;
  /// Whether the text of special tokens ("<|im_end|>") becomes their id. False for untrusted text.
  bool parse_special = true;
};

struct SpecialTokens {
  std::optional<TokenId> bos, eos, unk, pad;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Invalid UTF-8 is replaced by U+FFFD, byte by maximal subpart. Linear time for any input.
  virtual std::vector<TokenId> encode(std::string_view text,
                                      const EncodeOptions& options = {}) const = 0;
  /// Whole-sequence decoding, with the tokenizer's own decoder rules. Throws kInvalidArgument for
  /// ids outside the vocabulary.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special = true) const = 0;
  /// Raw bytes of one token as they appear inside a text (a leading space for "▁the" or "Ġthe");
  /// special tokens give their text. Concatenated, the bytes of a sequence are its text up to a
  /// leading space that `decode` strips.
  virtual std::string token_bytes(TokenId id) const = 0;
  /// The same for the token that a text begins with, less the leading space that `decode` strips.
  virtual std::string first_token_bytes(TokenId id) const;

  virtual int64_t vocab_size() const = 0;  ///< ids are [0, vocab_size)
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;
  virtual std::string id_to_token(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  virtual const SpecialTokens& special_tokens() const = 0;
  /// True when whole-sequence decoding drops one leading space (SentencePiece's dummy prefix).
  virtual bool strips_leading_space() const = 0;
};

/// What the metadata of a GGUF file says of its tokenizer (keys `tokenizer.ggml.*`).
struct GgufVocabulary {
  std::string model;  ///< "gpt2" or "llama"
  std::string pre;    ///< name of the pre-tokeniser, "gpt2" kind only
  std::vector<std::string> tokens;
  std::vector<int64_t>
      token_types;  ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<double> scores;
  std::vector<std::string> merges;
  SpecialTokens special;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = true;
};

/// From the text of tokenizer.json and, when there is one, tokenizer_config.json (for bos/eos/pad
/// names and add_bos). Throws kCorruptData or kUnsupported naming the part.
std::unique_ptr<Tokenizer> tokenizer_from_json(std::string_view tokenizer_json,
                                               std::string_view tokenizer_config_json = {});

/// Throws kCorruptData (malformed merges, duplicate tokens, ids beyond the vocabulary) or
/// kUnsupported.
std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary);

/// A tokenizer.json that gives the same ids, for tokenizers that were read from GGUF, so that a run
/// folder can carry its tokenizer. For those read from JSON the original text.
std::string tokenizer_to_json(const Tokenizer& tokenizer);

}  // namespace lmoe::text
