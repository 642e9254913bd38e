// Decoders of tokenizer.json: from the texts of tokens to the text they stand for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lmoe::text {

class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;
  /// What the step makes of one token in the middle of a text. Bytes of a character need not be
  /// complete.
  virtual std::string inner(std::string token) const { return token; }
  /// The same for the token that a text begins with.
  virtual std::string first(std::string token) const { return inner(std::move(token)); }
  /// For a step that only maps tokens and joins them: appends one token's bytes. False when it is
  /// not of that kind.
  virtual bool append_bytes(std::string& /*out*/, std::string_view /*token*/) const {
    return false;
  }
  /// Whether steps after this one see the text as a whole.
  virtual bool joins() const { return false; }
};

class Decoder {
 public:
  /// `json` may be null: then tokens are joined by spaces, as the `tokenizers` library does. Throws
  /// kCorruptData, kUnsupported.
  explicit Decoder(const Json& json);

  /// `next` gives the tokens one by one, then null.
  std::string decode(const std::function<const std::string*()>& next) const;
  std::string inner_bytes(std::string token) const;
  std::string first_bytes(std::string token) const;
  /// Whether a text's first token can lose spaces.
  bool strips_leading_space() const { return strips_leading_space_; }

 private:
  std::vector<std::unique_ptr<DecoderStep>> steps_;
  bool strips_leading_space_ = false;
};

/// The steps of one entry of tokenizer.json; `Sequence` gives those of its members.
std::vector<std::unique_ptr<DecoderStep>> make_decoder_steps(const Json& json,
                                                             const std::string& path);

}  // namespace lmoe::text
