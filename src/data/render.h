// Records to examples: token ids with a label for each.
//
// prompt_completion and choice are raw text: prompt, separator, response, EOS. The prompt is
// encoded alone and the separator with the response alone, so training sees exactly the ids
// generation starts from. A preference is rendered like two records, one for each answer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/passage.h"
#include "data/chat_encoder.h"
#include "data/record.h"
#include "text/tokenizer.h"

namespace lmoe::data {

using text::TokenId;

inline constexpr TokenId kIgnoreLabel = -100;

/// `labels` is as long as `ids`; labels[i] is ids[i] where it is to be learned and kIgnoreLabel
/// elsewhere. The hidden state at i - 1 predicts labels[i]; labels[0] is always kIgnoreLabel.
struct Example {
  std::vector<TokenId> ids;
  std::vector<TokenId> labels;
  int64_t line = 0;
  bool cut = false;
  /// Of a preference, whose ids are both sides one after the other: where the rejected one begins.
  /// Only the last token of each side carries loss. 0: one document.
  int64_t rejected_at = 0;
  Passages passages;  ///< kept apart by attention, counted from the first id; mostly none

  /// `passage` 0: of none.
  void append(const std::vector<TokenId>& more, bool is_labelled, int64_t passage = 0);
  int64_t length() const { return static_cast<int64_t>(ids.size()); }
  int64_t labelled() const;
  /// Tokens before the first one that is learned; all of them where none is.
  int64_t prompt_length() const;
};

/// What generation starts from.
struct Prompt {
  std::vector<TokenId> ids;
  Passages passages;
};

class Renderer {
 public:
  /// `chat` may be null when the base has no template: records with turns are then refused.
  /// `end_tokens` are those that end a turn or an answer; empty: the tokenizer's EOS alone.
  Renderer(std::shared_ptr<const text::Tokenizer> tokenizer,
           std::shared_ptr<const ChatEncoder> chat,
           DataOptions options,
           std::vector<TokenId> end_tokens = {});

  /// Not cut to sequence_len. Throws kInvalidArgument with file and line: no labelled token or only
  /// that of the end (an empty answer), no template, a template that does not render turns as a
  /// prefix of the conversation.
  Example render(const Record& record, const std::string& file) const;

  /// What generation starts from: everything before the (last) answer. For text: BOS or nothing.
  Prompt prompt(const Record& record) const;
  /// Ids of a raw prompt: BOS where the tokenizer adds one.
  std::vector<TokenId> prompt(std::string_view text) const;
  /// Ids of an answer that follows the record's prompt, separator included, no EOS.
  std::vector<TokenId> answer(const Record& record, std::string_view answer) const;

  /// Whether nothing but white space is to be learned: legal, and mostly a mistake of the data.
  bool is_blank(const Record& record) const;

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  const DataOptions& options() const { return options_; }
  const std::vector<TokenId>& end_tokens() const { return end_tokens_; }

 private:
  enum class Content { kNothing, kSpace, kText };
  /// Of a rendered conversation, from byte `at` on, until the next.
  struct PassageStart {
    size_t at = 0;
    int64_t passage = 0;
  };
  static Content text_content(std::string_view text);
  static Content turn_content(const Json& message);
  Content learned(const Record& record) const;
  void check_answered(const Record& record, const std::string& file) const;
  Example render_document(const Record& record, const std::string& file) const;
  Example render_pair(const Record& record) const;
  Example render_text(const Record& record) const;
  Example render_chat(const Record& record, const std::string& file) const;
  Example render_turns(const Record& record) const;
  /// Bytes of `whole` that the first `turns` of the record make.
  size_t prefix(const Record& record, size_t turns, bool prompt, const std::string& whole) const;
  /// Where passages begin and end in `whole`, whose first `turns` they are in.
  std::vector<PassageStart> passage_starts(const Record& record,
                                           size_t turns,
                                           const std::string& whole) const;
  /// Bytes [begin, end) of `whole`, encoded from one start to the next.
  void append_text(Example& example,
                   const std::string& whole,
                   size_t begin,
                   size_t end,
                   const std::vector<PassageStart>& starts,
                   bool labelled) const;
  /// One that is learned.
  void append_turn(Example& example,
                   const std::string& whole,
                   size_t first_byte,
                   size_t end_byte,
                   const std::vector<PassageStart>& starts) const;
  /// Everything before the (last) answer.
  Example unanswered(const Record& record) const;
  Example render_unanswered(const Record& record) const;
  /// Tokens before the text of a first passage: those of BOS, of a template's own system prompt and
  /// of the turn's role. Every passage is to see them.
  int64_t beginning(const Example& example, const Record& record) const;
  /// The last token so far predicts the answer, so it is to see everything: it belongs to no
  /// passage.
  static void answer_follows(Example& example);
  /// Leaves out the beginning. What begins a passage is not learned from the passage before.
  void settle_passages(Example& example, const Record& record) const;
  bool is_trained(const Json& message) const;
  void require_chat(const std::string& where) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::shared_ptr<const ChatEncoder> chat_;
  DataOptions options_;
  std::vector<TokenId> end_tokens_;
};

}  // namespace lmoe::data
