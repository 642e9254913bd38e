#include "text/jinja/tag_lexer.h"

#include <unicode/uchar.h>

#include "text/utf8.h"

namespace lmoe::text::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Digits of a base with single underscores between them; empty when there are none.
std::string read_digits(const std::string& source, size_t& p, int base) {
  std::string digits;
  while (p < source.size()) {
    const bool underscore = source[p] == '_' && p + 1 < source.size();
    const char c = underscore ? source[p + 1] : source[p];
    const int value = hex_value(c);
    if (value < 0 || value >= base) break;
    digits += c;
    p += underscore ? 2 : 1;
  }
  return digits;
}

Token read_number(const std::string& source, size_t position, int line, size_t& end) {
  size_t p = position;
  if (source[p] == '0' && p + 1 < source.size()) {
    const char mark = static_cast<char>(source[p + 1] | 0x20);
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (base != 0) {
      size_t q = p + 2;
      const std::string digits = read_digits(source, q, base);
      if (!digits.empty()) {
        end = q;
        if (digits.size() > 15) throw SyntaxError{"number too large", line};
        return {TokenKind::kInteger, std::to_string(std::stoll(digits, nullptr, base)), line};
      }
    }
  }
  std::string digits = read_digits(source, p, 10);
  bool is_float = false;
  size_t q = p + 1;
  const bool after_point = position > 0 && source[position - 1] == '.';  // "x.0.1" has no float
  const bool has_point = !after_point && p < source.size() && source[p] == '.';
  const std::string fraction = has_point ? read_digits(source, q, 10) : "";
  std::string text = digits;
  if (!fraction.empty() && source[p + 1] != '_') {
    text += "." + fraction;
    p = q;
    is_float = true;
  }
  if (!after_point && p < source.size() && (source[p] | 0x20) == 'e') {
    q = p + 1;
    std::string sign;
    if (q < source.size() && (source[q] == '+' || source[q] == '-')) sign = source[q++];
    if (const std::string exponent = read_digits(source, q, 10); !exponent.empty()) {
      text += "e" + sign + exponent;
      p = q;
      is_float = true;
    }
  }
  if (is_float) {
    end = p;
    return {TokenKind::kFloat, text, line};
  }
  // An integer beginning with 0 is zeros only: "012" is 0 and then 12.
  if (digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
    p = position;
    while (source[p] == '0' || source[p] == '_') ++p;
    digits = "0";
  }
  end = p;
  return {TokenKind::kInteger, digits, line};
}

/// Python's escapes; `p` stands behind the backslash. Unknown ones keep it.
void append_escape(const std::string& source, size_t& p, size_t stop, int line, std::string& out) {
  const char c = source[p++];
  static constexpr std::string_view kSimple = "\n\\'\"abfnrtv", kMeaning = "\0\\'\"\a\b\f\n\r\t\v";
  if (c == '\n') return;
  if (const size_t which = kSimple.find(c); which != std::string_view::npos) {
    out += kMeaning[which];
    return;
  }
  if (c >= '0' && c <= '7') {
    char32_t code = static_cast<char32_t>(c - '0');
    for (int i = 0; i < 2 && p < stop && source[p] >= '0' && source[p] <= '7'; ++i)
      code = code * 8 + static_cast<char32_t>(source[p++] - '0');
    return append_utf8(out, code);
  }
  const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (c == 'N') throw SyntaxError{"\\N{…} is not supported in a string", line};
  if (digits == 0) {
    out += '\\';
    out += c;
    return;
  }
  char32_t code = 0;
  for (size_t i = 0; i < digits; ++i, ++p) {
    if (p >= stop || hex_value(source[p]) < 0)
      throw SyntaxError{std::string("truncated \\") + c + " escape in a string", line};
    code = code * 16 + static_cast<char32_t>(hex_value(source[p]));
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
    throw SyntaxError{std::string("\\") + c + " escape is no character", line};
  append_utf8(out, code);
}

Token read_string(const std::string& source, size_t position, int line, size_t& end) {
  const char quote = source[position];
  size_t stop = position + 1;
  while (stop < source.size() && source[stop] != quote) stop += source[stop] == '\\' ? 2 : 1;
  if (stop >= source.size()) throw SyntaxError{"a string is not closed", line};
  Token token{TokenKind::kString, "", line};
  for (size_t p = position + 1; p < stop;) {
    if (source[p] != '\\') {
      token.text += source[p++];
      continue;
    }
    ++p;
    append_escape(source, p, stop, line, token.text);
  }
  end = stop + 1;
  return token;
}

size_t name_length(const std::string& source, size_t position) {
  size_t p = position;
  while (p < source.size()) {
    const Utf8Step step = utf8_step(std::string_view(source).substr(p));
    const auto code = static_cast<UChar32>(step.code_point);
    const bool letter = code == '_' || u_hasBinaryProperty(code, UCHAR_XID_START);
    if (!step.valid || !(letter || (p > position && u_hasBinaryProperty(code, UCHAR_XID_CONTINUE))))
      break;
    p += static_cast<size_t>(step.length);
  }
  return p - position;
}

}  // namespace

Token read_token(const std::string& source, size_t position, int line, size_t& end) {
  const char c = source[position];
  if (is_digit(c)) return read_number(source, position, line, end);
  if (c == '\'' || c == '"') return read_string(source, position, line, end);
  if (const size_t length = name_length(source, position); length > 0) {
    end = position + length;
    return {TokenKind::kName, source.substr(position, length), line};
  }
  static constexpr std::string_view kPairs[] = {"//", "**", "==", "!=", ">=", "<="};
  for (const auto pair : kPairs) {
    if (source.compare(position, 2, pair) != 0) continue;
    end = position + 2;
    return {TokenKind::kOperator, std::string(pair), line};
  }
  static constexpr std::string_view kSingles = "+-/*%~[](){}><=.:|,;";
  if (kSingles.find(c) == std::string_view::npos)
    throw SyntaxError{std::string("unexpected character '") + c + "'", line};
  end = position + 1;
  return {TokenKind::kOperator, std::string(1, c), line};
}

}  // namespace lmoe::text::jinja
