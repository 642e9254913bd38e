#include "data/chat_encoder.h"

#include <algorithm>

#include "base/error.h"

namespace lmoe::data {
namespace {

constexpr std::string_view kOpen = "\xF3\xB0\x80\x80";   // U+F0000
constexpr std::string_view kClose = "\xF3\xB0\x80\x81";  // U+F0001
constexpr std::string_view kMarkPrefix = "\xF3\xB0\x80";

/// 26 July 2024: what strftime_now gives unless told, so that data does not change from day to day.
constexpr int64_t kDefaultClock = 1721952000;

std::string without_marks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    if (text.starts_with(kOpen) || text.starts_with(kClose)) {
      text.remove_prefix(kOpen.size());
      continue;
    }
    const size_t next = std::min(text.find(kMarkPrefix, 1), text.size());
    out += text.substr(0, next);
    text.remove_prefix(next);
  }
  return out;
}

std::string joined_bytes(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& ids) {
  std::string out;
  for (const text::TokenId id : ids) out += tokenizer.token_bytes(id);
  return out;
}

}  // namespace

ChatEncoder::ChatEncoder(std::shared_ptr<const text::Tokenizer> tokenizer,
                         std::string_view template_source,
                         Json globals)
    : tokenizer_(std::move(tokenizer)),
      template_(template_source),
      globals_(std::move(globals)),
      special_by_first_byte_(256) {
  const auto& special = tokenizer_->special_tokens();
  const auto name = [&](const std::optional<text::TokenId>& id) {
    return id ? tokenizer_->id_to_token(*id) : std::string();
  };
  if (!globals_.contains("bos_token")) globals_["bos_token"] = name(special.bos);
  if (!globals_.contains("eos_token")) globals_["eos_token"] = name(special.eos);
  if (!globals_.contains("strftime_now_value")) globals_["strftime_now_value"] = kDefaultClock;
  for (text::TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (!tokenizer_->is_special(id)) continue;
    std::string token = tokenizer_->id_to_token(id);
    if (!token.empty())
      special_by_first_byte_[static_cast<unsigned char>(token[0])].push_back(std::move(token));
  }
  for (auto& tokens : special_by_first_byte_)
    std::sort(tokens.begin(), tokens.end(),
              [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string ChatEncoder::mark_text(std::string_view text) const {
  const std::string clean = without_marks(text);
  std::string out;
  out.reserve(clean.size());
  for (std::string_view rest = clean; !rest.empty();) {
    const auto& candidates = special_by_first_byte_[static_cast<unsigned char>(rest[0])];
    const auto found = std::find_if(candidates.begin(), candidates.end(),
                                    [&](const auto& token) { return rest.starts_with(token); });
    if (found == candidates.end()) {
      out += rest[0];
      rest.remove_prefix(1);
    } else {
      ((out += kOpen) += *found) += kClose;
      rest.remove_prefix(found->size());
    }
  }
  return out;
}

Json ChatEncoder::mark(const Json& value) const {
  if (value.is_string()) return mark_text(value.get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  Json marked = value;
  for (Json& item : marked) item = mark(item);
  return marked;
}

std::string ChatEncoder::render_marked(const Json& messages,
                                       const Json& tools,
                                       bool add_generation_prompt) const {
  Json variables = globals_;
  variables["messages"] = mark(messages);
  if (!tools.is_null()) variables["tools"] = mark(tools);
  variables["add_generation_prompt"] = add_generation_prompt;
  return template_.render(variables);
}

std::string ChatEncoder::render(const Json& messages,
                                const Json& tools,
                                bool add_generation_prompt) const {
  return without_marks(render_marked(messages, tools, add_generation_prompt));
}

std::vector<text::TokenId> ChatEncoder::encode(const Json& messages,
                                               const Json& tools,
                                               bool add_generation_prompt) const {
  return encode_marked(render_marked(messages, tools, add_generation_prompt), /*at_start=*/true);
}

std::vector<text::TokenId> ChatEncoder::encode_marked(std::string_view marked,
                                                      bool at_start) const {
  std::vector<text::TokenId> ids;
  bool literal = false;  // between the marks: special-token text that stays text
  while (!marked.empty()) {
    const size_t mark = std::min({marked.find(kOpen), marked.find(kClose), marked.size()});
    const std::string_view piece = marked.substr(0, mark);
    if (!piece.empty()) {
      const auto more =
          at_start
              ? tokenizer_->encode(piece, {.add_special_tokens = false, .parse_special = !literal})
              : encode_continuation(*tokenizer_, piece, !literal);
      ids.insert(ids.end(), more.begin(), more.end());
      at_start = false;
    }
    literal = marked.substr(mark).starts_with(kOpen);
    marked.remove_prefix(std::min(mark + kOpen.size(), marked.size()));
  }
  return ids;
}

std::vector<text::TokenId> encode_continuation(const text::Tokenizer& tokenizer,
                                               std::string_view text,
                                               bool parse_special) {
  const text::EncodeOptions options{.add_special_tokens = false, .parse_special = parse_special};
  if (!tokenizer.strips_leading_space() || text.empty()) return tokenizer.encode(text, options);
  // The tokenizer puts a space before every text. Let it stand for the text's own first space, or
  // hide it before a line break that is cut off again.
  if (text[0] == ' ') {
    auto ids = tokenizer.encode(text.substr(1), options);
    if (joined_bytes(tokenizer, ids) == text) return ids;
  }
  const auto lead = tokenizer.encode("\n", options);
  auto ids = tokenizer.encode("\n" + std::string(text), options);
  const bool kept = ids.size() > lead.size() && std::equal(lead.begin(), lead.end(), ids.begin());
  if (!kept) return tokenizer.encode(text, options);
  ids.erase(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(lead.size()));
  return ids;
}

}  // namespace lmoe::data
