#include "text/detokenizer.h"

#include "text/utf8.h"

namespace lmoe::text {

std::string Tokenizer::first_token_bytes(TokenId id) const {
  std::string bytes = token_bytes(id);
  if (strips_leading_space() && bytes.starts_with(' ')) bytes.erase(0, 1);
  return bytes;
}

std::string Detokenizer::add(TokenId id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  pending_ += at_start_ ? tokenizer_.first_token_bytes(id) : tokenizer_.token_bytes(id);
  if (at_start_) at_start_ = tokenizer_.token_bytes(id).empty();
  const size_t whole = complete_utf8_prefix(pending_);
  std::string out = replace_invalid_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return out;
}

std::string Detokenizer::finish() {
  std::string out = replace_invalid_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace lmoe::text
