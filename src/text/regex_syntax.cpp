#include "text/regex_syntax.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "text/unicode.h"

namespace lmoe::text {

namespace {

constexpr std::string_view kWordMembers = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

std::string added_members(std::string_view category) {
  std::string out;
  for (const NewCodePoints& range : new_code_points()) {
    const std::string_view known(range.category);
    if (category != known && category != known.substr(0, 1)) continue;
    char text[40];
    std::snprintf(text, sizeof text, "\\x{%X}-\\x{%X}", static_cast<unsigned>(range.first),
                  static_cast<unsigned>(range.last));
    out += text;
  }
  return out;
}

class Rewriter {
 public:
  Rewriter(std::string_view pattern, bool with_new_code_points, const std::string& where)
      : pattern_(pattern), with_new_(with_new_code_points), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        plain_character(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorCode::kUnsupported, "[tokenizer] ", where_, ": the pattern '", pattern_, "' uses ",
         what, ", which is not supported");
  }

  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void plain_character(char c) {
    if (next_is("(*")) refuse("a (*VERB)");
    if (next_is("(?C")) refuse("a callout");
    if (c == '[') {
      in_class_ = true;
      out_ += c;
      ++at_;
      if (next_is("^")) copy(1);
      if (next_is("]")) copy(1);
      return;
    }
    copy(1);
  }

  void class_character(char c) {
    if (next_is("[:")) {
      const size_t end = pattern_.find(":]", at_);
      if (end == std::string_view::npos) refuse("an unfinished [: :] class");
      copy(end + 2 - at_);
      return;
    }
    if (c == '[') refuse("nested character classes");
    if (next_is("&&")) refuse("an intersection of character classes");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) refuse("a trailing backslash");
    switch (pattern_[at_ + 1]) {
      case 's':
        return replace(2, R"(\p{White_Space})");
      case 'S':
        return replace(2, R"(\P{White_Space})");
      case 'w':
        return members(2, kWordMembers,
                       added_members("L") + added_members("M") + added_members("Nd"));
      case 'W':
        if (in_class_) refuse("\\W inside a character class");
        return replace(2, concat("[^", kWordMembers, "]"));
      case 'h':
        return members(2, "0-9a-fA-F", "");
      case 'd':
        return members(2, R"(\p{Nd})", added_members("Nd"));
      case 'p':
      case 'P':
        return property();
      case 'u':
        return code_point();
      case 'R':
      case 'X':
      case 'K':
      case 'G':
      case 'y':
      case 'Y':
      case 'g':
      case 'k':
        refuse(concat("\\", pattern_[at_ + 1]));
      default:
        return copy(2);
    }
  }

  /// `\u` with four hexadecimal digits.
  void code_point() {
    const std::string_view digits =
        pattern_.substr(std::min(at_ + 2, pattern_.size())).substr(0, 4);
    const bool valid =
        digits.size() == 4 &&
        std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isxdigit(c); });
    if (!valid) refuse("\\u without four hexadecimal digits");
    replace(6, concat("\\x{", digits, "}"));
  }

  void property() {
    const size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos) {
      refuse("\\p without {name}");
    }
    std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    bool negated = pattern_[at_ + 1] == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const size_t length = end + 1 - at_;
    const std::string added = with_new_ ? added_members(name) : "";
    if (!negated) return members(length, concat("\\p{", name, "}"), added);
    if (in_class_ || added.empty()) return replace(length, concat("\\P{", name, "}"));
    replace(length, concat("[^\\p{", name, "}", added, "]"));
  }

  /// A set: its members as they stand inside a class, in brackets of their own outside.
  void members(size_t length, std::string_view known, std::string_view added) {
    const std::string_view extra = with_new_ ? added : std::string_view{};
    const bool one_escape =
        known.starts_with('\\') && known.find('\\', 1) == std::string_view::npos;
    if (in_class_ || (one_escape && extra.empty())) return replace(length, concat(known, extra));
    replace(length, concat("[", known, extra, "]"));
  }

  void replace(size_t length, std::string_view by) {
    out_ += by;
    at_ += length;
  }

  void copy(size_t length) {
    length = std::min(length, pattern_.size() - at_);
    out_ += pattern_.substr(at_, length);
    at_ += length;
  }

  std::string_view pattern_;
  bool with_new_;
  const std::string& where_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view pattern,
                            bool with_new_code_points,
                            const std::string& where) {
  return Rewriter(pattern, with_new_code_points, where).run();
}

}  // namespace lmoe::text
