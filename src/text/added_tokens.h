// Added tokens: texts like "<|im_end|>" that are one token wherever they stand, found before
// anything else is done.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/bpe_model.h"
#include "text/normalizer.h"
#include "text/tokenizer.h"

namespace lmoe::text {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  std::string
      decoded;  ///< what it gives the decoder: the content, normalised where `normalized` says so
  bool single_word = false;  ///< only where no word character is next to it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;
  bool normalized = true;  ///< looked for in the normalised text
  bool special = false;
};

/// Finds the longest of a set of texts that begins at a place.
class TextSet {
 public:
  /// The first of equal texts wins.
  void insert(std::string_view text, size_t index);
  struct Found {
    size_t index, length;
  };
  std::optional<Found> longest_at(std::string_view text) const;
  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {
    std::map<char, size_t> next;
    std::optional<size_t> index;
  };
  std::vector<Node> nodes_{1};
  std::array<bool, 256> first_bytes_{};
};

class AddedTokens {
 public:
  /// `list` is `added_tokens` of tokenizer.json (null for none). Throws kCorruptData for ids that
  /// contradict the model or each other.
  AddedTokens(const Json& list, const BpeModel& model, const Normalizer& normalizer);

  /// A stretch of text without added tokens, or the id of one.
  using Sink = std::function<void(std::string_view text, std::optional<TokenId> id)>;
  void split_raw(std::string_view text, bool parse_special, const Sink& sink) const;
  void split_normalized(std::string_view text, bool parse_special, const Sink& sink) const;

  const AddedToken* find(TokenId id) const;
  const AddedToken* find(std::string_view content) const;
  /// One past the largest id; 0 when there are none.
  int64_t id_bound() const { return id_bound_; }

 private:
  void add(AddedToken token, const BpeModel& model);
  void split(const TextSet& set, std::string_view text, bool parse_special, const Sink& sink) const;

  std::vector<AddedToken> tokens_;
  std::map<TokenId, size_t> by_id_;
  std::map<std::string, size_t, std::less<>> by_content_;
  TextSet raw_, normalized_;
  int64_t id_bound_ = 0;
};

}  // namespace lmoe::text
