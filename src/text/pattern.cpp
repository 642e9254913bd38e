#include "text/pattern.h"

#include "base/error.h"

namespace lmoe::text {

Pattern Pattern::from_json(const Json& json, const std::string& where) {
  LMOE_CHECK_DATA(json.is_object() && json.size() == 1 && json.begin()->is_string(), "[tokenizer] ",
                  where, " must be {\"String\": …} or {\"Regex\": …}: given ", json.type_name());
  const auto item = json.begin();
  const auto text = item->get<std::string>();
  if (item.key() == "String") return Pattern(text);
  if (item.key() == "Regex") return Pattern(Regex(text, where));
  fail(ErrorCode::kUnsupported, "[tokenizer] ", where, ": unknown kind of pattern '", item.key(),
       "'; known: String, Regex");
}

void Pattern::for_each_match(std::string_view text,
                             const std::function<void(TextRange)>& use) const {
  if (regex_) {
    auto searcher = regex_->search(text);
    while (const auto match = searcher.next()) use(*match);
    return;
  }
  if (literal_.empty()) return;
  for (size_t at = text.find(literal_); at != std::string_view::npos;) {
    use({at, at + literal_.size()});
    at = text.find(literal_, at + literal_.size());
  }
}

void Pattern::for_each_range(std::string_view text,
                             const std::function<void(TextRange, bool)>& use) const {
  size_t done = 0;
  for_each_match(text, [&](TextRange match) {
    if (done < match.begin) use({done, match.begin}, false);
    use(match, true);
    done = match.end;
  });
  if (done < text.size()) use({done, text.size()}, false);
}

std::string Pattern::replace_all(std::string_view text, std::string_view by) const {
  std::string out;
  out.reserve(text.size());
  for_each_range(text, [&](TextRange range, bool is_match) {
    out += is_match ? by : text.substr(range.begin, range.end - range.begin);
  });
  return out;
}

}  // namespace lmoe::text
