// Pre-tokenizers: cut a text into the words that BPE merges inside of.
//
// Words are handed on one by one, so memory does not grow with the number of words.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lmoe::text {

struct Piece {
  std::string_view text;
  bool at_start = false;  ///< begins where the whole text begins
};

using PieceSink = std::function<void(Piece)>;

class PreTokenizerStage {
 public:
  virtual ~PreTokenizerStage() = default;
  /// Pieces that cover `piece` in order; they live until `sink` returns.
  virtual void split(Piece piece, const PieceSink& sink) const = 0;
};

class PreTokenizer {
 public:
  /// `json` may be null: then the whole text is one word. Throws kCorruptData, kUnsupported.
  explicit PreTokenizer(const Json& json);

  /// Words of `piece`, empty ones left out.
  void split(Piece piece, const PieceSink& sink) const { split_from(0, piece, sink); }

  /// True when words are raw bytes whose vocabulary is written in the byte alphabet.
  bool is_byte_level() const { return is_byte_level_; }

 private:
  void split_from(size_t stage, Piece piece, const PieceSink& sink) const;

  std::vector<std::unique_ptr<PreTokenizerStage>> stages_;
  bool is_byte_level_ = false;
};

/// The stages of one entry of tokenizer.json; `Sequence` gives those of its members. A final change
/// to the byte alphabet is not a stage but sets `ends_in_bytes`.
std::vector<std::unique_ptr<PreTokenizerStage>> make_stages(const Json& json,
                                                            const std::string& path,
                                                            bool& ends_in_bytes);

}  // namespace lmoe::text
