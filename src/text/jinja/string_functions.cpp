#include "text/jinja/string_functions.h"

#include <algorithm>

#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

Value width_method(Runtime& runtime, const Value& self, CallArguments& arguments, Align align) {
  const ArgumentReader read("ljust", arguments, {"", ""});
  read.required(0);
  if (read.has(1) && !read.required(1).is_string())
    throw TemplateError("the fill character must be text");
  const std::string fill = read.has(1) ? read.required(1).as_string() : " ";
  return Value(pad(self.as_string(), read.integer(0, 0), align, fill, runtime.budget()));
}

template <Align kAlign>
Value justify_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  return width_method(runtime, self, arguments, kAlign);
}

Value zfill_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("zfill", arguments, {""});
  std::string text = self.as_string();
  const std::string sign =
      !text.empty() && (text[0] == '+' || text[0] == '-') ? text.substr(0, 1) : "";
  read.required(0);
  return Value(sign + pad(text.substr(sign.size()),
                          read.integer(0, 0) - static_cast<int64_t>(sign.size()), Align::kRight,
                          "0", runtime.budget()));
}

template <std::string (*kConvert)(std::string_view)>
Value convert_method(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("this method", arguments, {});
  return Value(kConvert(self.as_string()));
}

template <bool (*kIs)(std::string_view)>
Value check_method(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("this method", arguments, {});
  return Value(kIs(self.as_string()));
}

template <bool (*kIs)(char32_t)>
bool all_of(std::string_view text) {
  const auto letters = characters(text);
  return !letters.empty() && std::all_of(letters.begin(), letters.end(),
                                         [](std::string_view c) { return kIs(code_point(c)); });
}

bool is_alphanumeric(char32_t code) { return is_word(code) && code != '_'; }
bool is_numeric(char32_t code) { return is_alphanumeric(code) && !is_alpha(code); }

constexpr Named<Method> kMethods[] = {
    {"capitalize", convert_method<capitalize>},
    {"center", justify_method<Align::kCenter>},
    {"isalnum", check_method<all_of<is_alphanumeric>>},
    {"isalpha", check_method<all_of<is_alpha>>},
    {"isdigit", check_method<all_of<is_digit>>},
    {"islower", check_method<is_lower>},
    {"isnumeric", check_method<all_of<is_numeric>>},
    {"isspace", check_method<all_of<is_space>>},
    {"isupper", check_method<is_upper>},
    {"ljust", justify_method<Align::kLeft>},
    {"lower", convert_method<to_lower>},
    {"rjust", justify_method<Align::kRight>},
    {"title", convert_method<title>},
    {"upper", convert_method<to_upper>},
    {"zfill", zfill_method},
};

}  // namespace

std::vector<std::string_view> split_space(std::string_view text, int64_t limit, bool from_right) {
  std::vector<std::string_view> words;
  size_t start = 0;
  bool in_word = false;
  for (const auto character : characters(text)) {
    const auto at = static_cast<size_t>(character.data() - text.data());
    const bool space = is_space(code_point(character));
    if (in_word && space) words.push_back(text.substr(start, at - start));
    if (!in_word && !space) start = at;
    in_word = !space;
  }
  if (in_word) words.push_back(text.substr(start));
  if (limit < 0 || static_cast<int64_t>(words.size()) <= limit) return words;
  // What is left over stays one piece, with the white space at its far end.
  const auto kept = static_cast<ptrdiff_t>(limit);
  if (from_right) {
    const std::string_view last = *(words.end() - 1 - kept);
    words.erase(words.begin(), words.end() - kept);
    words.insert(words.begin(), text.substr(0, static_cast<size_t>(last.end() - text.begin())));
  } else {
    const auto begin = static_cast<size_t>(words[static_cast<size_t>(limit)].data() - text.data());
    words.erase(words.begin() + kept, words.end());
    words.push_back(text.substr(begin));
  }
  return words;
}

std::vector<std::string_view> split_text(std::string_view text,
                                         std::string_view separator,
                                         int64_t limit,
                                         bool from_right) {
  if (separator.empty()) throw TemplateError("empty separator");
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = from_right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::string_view behind = text.substr(at + separator.size());
    parts.push_back(from_right ? behind : text.substr(0, at));
    text = from_right ? text.substr(0, at) : behind;
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::string replace_text(std::string_view text,
                         std::string_view old_text,
                         std::string_view new_text,
                         int64_t count,
                         Budget& budget) {
  std::string out;
  budget.spend_bytes(text.size());
  const auto grow = [&] { budget.spend_bytes(out.size() / 256 + new_text.size()); };
  int64_t left = count < 0 ? INT64_MAX : count;
  if (old_text.empty()) {
    for (const auto character : characters(text)) {
      if (left > 0) {
        grow();
        out += new_text;
        --left;
      }
      out += character;
    }
    if (left > 0) out += new_text;
  } else {
    for (; left > 0; --left) {
      const size_t at = text.find(old_text);
      if (at == std::string_view::npos) break;
      grow();
      out += text.substr(0, at);
      out += new_text;
      text.remove_prefix(at + old_text.size());
    }
    out += text;
  }
  budget.spend_bytes(out.size());
  return out;
}

std::string pad(
    std::string_view text, int64_t width, Align align, std::string_view fill, Budget& budget) {
  const int64_t missing = width - count_characters(text);
  if (count_characters(fill) != 1)
    throw TemplateError("the fill character must be exactly one character long");
  if (missing <= 0) return std::string(text);
  budget.spend_bytes(static_cast<uint64_t>(missing) + text.size());
  int64_t left = align == Align::kLeft ? 0 : missing;
  if (align == Align::kCenter) left = missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return out;
}

Method find_case_method(std::string_view name) {
  for (const auto& [known, method] : kMethods)
    if (known == name) return method;
  return nullptr;
}

}  // namespace lmoe::text::jinja
