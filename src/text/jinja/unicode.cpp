#include "text/jinja/unicode.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "text/utf8.h"

namespace lmoe::text::jinja {
namespace {

size_t sequence_length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

std::string_view character_at(std::string_view text, size_t position) {
  const size_t wanted = sequence_length(static_cast<unsigned char>(text[position]));
  size_t length = 1;
  while (length < wanted && position + length < text.size() &&
         (static_cast<unsigned char>(text[position + length]) & 0xC0) == 0x80)
    ++length;
  return text.substr(position, length);
}

std::string_view last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && text.size() - start < 4 &&
         (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80)
    --start;
  const std::string_view whole = character_at(text, start);
  return start + whole.size() == text.size() ? whole : text.substr(text.size() - 1);
}

template <class IsStripped>
std::string_view strip_if(std::string_view text, Side side, IsStripped is_stripped) {
  while (side != Side::kRight && !text.empty()) {
    const std::string_view first = character_at(text, 0);
    if (!is_stripped(first)) break;
    text.remove_prefix(first.size());
  }
  while (side != Side::kLeft && !text.empty()) {
    const std::string_view last = last_character(text);
    if (!is_stripped(last)) break;
    text.remove_suffix(last.size());
  }
  return text;
}

std::string to_std_string(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

bool is_cased(char32_t code) {
  return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_CASED) != 0;
}

std::string title_character(std::string_view character) {
  // Full mapping through ICU's titlecasing of a single character ("ß" gives "Ss").
  return to_std_string(from_utf8(character).toTitle(nullptr, icu::Locale::getRoot(), 0));
}

}  // namespace

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); i += out.back().size()) out.push_back(character_at(text, i));
  return out;
}

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) i += character_at(text, i).size();
  return count;
}

char32_t code_point(std::string_view character) { return utf8_step(character).code_point; }

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_printable(char32_t code) {
  if (code == ' ') return true;
  switch (u_charType(static_cast<UChar32>(code))) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_UNASSIGNED:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SPACE_SEPARATOR:
      return false;
    default:
      return true;
  }
}

bool is_alpha(char32_t code) { return u_isalpha(static_cast<UChar32>(code)) != 0; }

bool is_digit(char32_t code) {
  const auto type = static_cast<UNumericType>(
      u_getIntPropertyValue(static_cast<UChar32>(code), UCHAR_NUMERIC_TYPE));
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool is_word(char32_t code) {
  return code == '_' || is_alpha(code) ||
         u_getIntPropertyValue(static_cast<UChar32>(code), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool is_line_break(char32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

std::string_view strip(std::string_view text, Side side) {
  return strip_if(text, side, [](std::string_view c) { return is_space(code_point(c)); });
}

std::string_view strip(std::string_view text, Side side, std::string_view set) {
  const auto stripped = characters(set);
  return strip_if(text, side, [&](std::string_view c) {
    return std::find(stripped.begin(), stripped.end(), c) != stripped.end();
  });
}

std::string to_upper(std::string_view text) {
  return to_std_string(from_utf8(text).toUpper(icu::Locale::getRoot()));
}

std::string to_lower(std::string_view text) {
  return to_std_string(from_utf8(text).toLower(icu::Locale::getRoot()));
}

/// One word: its first character in title case, the rest in lower case, a final sigma as such.
std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  const std::string_view first = character_at(text, 0);
  const std::string lower = to_lower(text);
  const size_t first_lower = to_lower(first).size();
  return title_character(first) + lower.substr(std::min(first_lower, lower.size()));
}

std::string title(std::string_view text) {
  std::string out;
  size_t word = 0;  // where the current run of cased characters began
  size_t i = 0;
  while (i < text.size()) {
    const std::string_view character = character_at(text, i);
    if (!is_cased(code_point(character))) {
      out += capitalize(text.substr(word, i - word));
      out += character;
      word = i + character.size();
    }
    i += character.size();
  }
  return out + capitalize(text.substr(word));
}

bool is_upper(std::string_view text) {
  bool cased = false;
  for (const auto character : characters(text)) {
    const auto code = static_cast<UChar32>(code_point(character));
    if (u_isULowercase(code) || u_istitle(code)) return false;
    cased = cased || u_isUUppercase(code);
  }
  return cased;
}

bool is_lower(std::string_view text) {
  bool cased = false;
  for (const auto character : characters(text)) {
    const auto code = static_cast<UChar32>(code_point(character));
    if (u_isUUppercase(code) || u_istitle(code)) return false;
    cased = cased || u_isULowercase(code);
  }
  return cased;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = character_at(text, i);
    size_t next = i + character.size();
    if (is_line_break(code_point(character))) {
      if (character == "\r" && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(start, (keep_ends ? next : i) - start));
      start = next;
    }
    i = next;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

}  // namespace lmoe::text::jinja
