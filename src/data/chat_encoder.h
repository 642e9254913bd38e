// Conversations to token ids through a chat template.
//
// The template's own special tokens become control tokens; the same text inside messages or tools
// stays text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace lmoe::data {

class ChatEncoder {
 public:
  /// `globals` are handed to every rendering besides messages, tools and add_generation_prompt.
  /// bos_token and eos_token come from the tokenizer unless given, and strftime_now_value (seconds
  /// since 1970; the date a template may print) is a fixed day in 2024, so that data stays the
  /// same. Throws kCorruptData for a template with a syntax error.
  ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer,
              std::string_view template_source,
              Json globals = Json::object());

  /// Ids of a conversation; with `add_generation_prompt` up to where the answer begins.
  /// Throws kInvalidArgument when the template refuses.
  std::vector<text::TokenId> encode(const Json& messages,
                                    const Json& tools = nullptr,
                                    bool add_generation_prompt = true) const;

  /// Rendered text, special-token text of the messages included, for people to look at.
  std::string render(const Json& messages, const Json& tools, bool add_generation_prompt) const;

  /// Rendered text in which special-token text of messages and tools is enclosed in
  /// U+F0000 … U+F0001; what `encode_marked` understands. Messages never contain those two.
  std::string render_marked(const Json& messages,
                            const Json& tools,
                            bool add_generation_prompt) const;
  std::vector<text::TokenId> encode_marked(std::string_view marked, bool at_start) const;

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  Json mark(const Json& value) const;
  std::string mark_text(std::string_view text) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::ChatTemplate template_;
  Json globals_;
  /// Texts of special tokens, longest first, by first byte.
  std::vector<std::vector<std::string>> special_by_first_byte_;
};

/// Ids of untrusted text that continues another: no BOS, no dummy space, special-token text stays
/// text.
std::vector<text::TokenId> encode_continuation(const text::Tokenizer& tokenizer,
                                               std::string_view text,
                                               bool parse_special = false);

}  // namespace lmoe::data
