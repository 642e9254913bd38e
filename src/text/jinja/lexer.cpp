#include "text/jinja/lexer.h"

#include <algorithm>

#include "text/jinja/tag_lexer.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool all_space(std::string_view text) { return strip(text, Side::kLeft).empty(); }

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) {
      const size_t tag = find_tag(position_);
      if (tag == std::string::npos) {
        emit_data(std::string_view(source_).substr(position_));
        advance_to(source_.size());
        break;
      }
      enter_tag(tag);
    }
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  size_t find_tag(size_t from) const {
    for (size_t i = source_.find('{', from); i != std::string::npos; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() &&
          (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    }
    return std::string::npos;
  }

  bool at(size_t position, std::string_view text) const {
    return std::string_view(source_).substr(position, text.size()) == text;
  }

  void advance_to(size_t position) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(position_),
                                         source_.begin() + static_cast<ptrdiff_t>(position), '\n'));
    line_starting_ = position > 0 && position > position_ && source_[position - 1] == '\n';
    position_ = position;
  }

  void emit_data(std::string_view text) {
    if (!text.empty()) tokens_.push_back({TokenKind::kData, std::string(text), line_});
  }

  /// The text before a tag, after what the tag's sign or lstrip_blocks takes from its end.
  std::string_view before_tag(size_t begin, size_t tag, char sign, bool is_print) const {
    std::string_view text = std::string_view(source_).substr(begin, tag - begin);
    if (sign == '-') return strip(text, Side::kRight);
    if (sign == '+' || is_print) return text;
    const size_t newline = text.rfind('\n');
    const size_t start = newline == std::string_view::npos ? 0 : newline + 1;
    const bool from_line_start = start > 0 || line_starting_;
    if (from_line_start && start < text.size() && all_space(text.substr(start)))
      text = text.substr(0, start);
    return text;
  }

  void enter_tag(size_t tag) {
    const char kind = source_[tag + 1];
    size_t inside = tag + 2;
    const char sign = inside < source_.size() && (source_[inside] == '-' || source_[inside] == '+')
                          ? source_[inside]
                          : ' ';
    emit_data(before_tag(position_, tag, sign, kind == '{'));
    if (sign != ' ') ++inside;
    advance_to(tag);
    if (kind == '#') return skip_comment(inside);
    if (kind == '%' && read_raw(inside)) return;
    tokens_.push_back({kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "", line_});
    advance_to(inside);
    read_tag(kind == '{');
  }

  size_t skip_space(size_t position) const {
    const std::string_view rest = std::string_view(source_).substr(position);
    return source_.size() - strip(rest, Side::kLeft).size();
  }

  /// Where the template goes on after a closing mark whose sign stood before it.
  size_t after_close(size_t position, char sign, bool trims_newline) const {
    if (sign == '-') return skip_space(position);
    if (sign != '+' && trims_newline && position < source_.size() && source_[position] == '\n')
      return position + 1;
    return position;
  }

  void skip_comment(size_t inside) {
    const size_t close = source_.find("#}", inside);
    if (close == std::string::npos) throw SyntaxError{"Missing end of comment tag", line_};
    const char sign = close > inside ? source_[close - 1] : ' ';
    advance_to(after_close(close + 2, sign, true));
  }

  /// `{% raw %} … {% endraw %}`; false when the tag is another one.
  bool read_raw(size_t inside) {
    size_t p = skip_space(inside);
    if (!at(p, "raw")) return false;
    p = skip_space(p + 3);
    const bool strips = at(p, "-%}");
    if (!strips && !at(p, "%}")) return false;
    const size_t begin = after_close(p + (strips ? 3 : 2), strips ? '-' : '+', false);
    advance_to(begin);
    for (size_t tag = source_.find("{%", begin); tag != std::string::npos;
         tag = source_.find("{%", tag + 1)) {
      const char sign = at(tag + 2, "-") ? '-' : at(tag + 2, "+") ? '+' : ' ';
      p = skip_space(tag + (sign == ' ' ? 2 : 3));
      if (!at(p, "endraw")) continue;
      p = skip_space(p + 6);
      const char end_sign = at(p, "-%}") ? '-' : at(p, "+%}") ? '+' : ' ';
      if (end_sign != ' ') ++p;
      if (!at(p, "%}")) continue;
      emit_data(before_tag(begin, tag, sign, false));
      advance_to(after_close(p + 2, end_sign, true));
      return true;
    }
    throw SyntaxError{"Missing end of raw directive", line_};
  }

  void read_tag(bool is_print) {
    const std::string_view close = is_print ? "}}" : "%}";
    std::string open_brackets;
    while (true) {
      const size_t token = skip_space(position_);
      advance_to(token);
      if (token >= source_.size())
        throw SyntaxError{"unexpected end of template, expected '" + std::string(close) + "'",
                          line_};
      if (open_brackets.empty()) {
        const bool signed_close =
            (at(token, "-") || (at(token, "+") && !is_print)) && at(token + 1, close);
        if (signed_close || at(token, close)) {
          const char sign = signed_close ? source_[token] : ' ';
          tokens_.push_back({is_print ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "", line_});
          advance_to(after_close(token + (signed_close ? 3 : 2), sign, !is_print));
          return;
        }
      }
      size_t end = 0;
      tokens_.push_back(read_token(source_, token, line_, end));
      if (tokens_.back().kind == TokenKind::kOperator) balance(tokens_.back(), open_brackets);
      advance_to(end);
    }
  }

  static void balance(const Token& token, std::string& open) {
    static constexpr std::string_view kOpening = "([{", kClosing = ")]}";
    if (token.text.size() != 1) return;
    if (kOpening.find(token.text) != std::string_view::npos) open += token.text;
    const size_t which = kClosing.find(token.text);
    if (which == std::string_view::npos) return;
    if (open.empty() || open.back() != kOpening[which])
      throw SyntaxError{"unexpected '" + token.text + "'", token.line};
    open.pop_back();
  }

  std::string source_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(normalize_newlines(source)).run();
}

}  // namespace lmoe::text::jinja
