// Regular expressions of tokenizer files: PCRE2 with Unicode classes, compiled to machine code
// where it can.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lmoe::text {

struct TextRange {
  size_t begin = 0, end = 0;
};

class Regex {
 public:
  /// `where` names the part of the file in messages. Throws kCorruptData for a syntax error,
  /// kUnsupported for what Oniguruma has and PCRE2 has not.
  Regex(std::string_view pattern, std::string where);
  ~Regex();
  Regex(Regex&&) noexcept;

  /// Walks over the matches in one valid UTF-8 text. One thread has at most one searcher in use at
  /// a time per call of `next`; the regex itself may be shared.
  class Searcher {
   public:
    /// The next match, in Oniguruma's order; matches may be empty, but never right behind another
    /// match. Throws kInvalidArgument when the pattern backtracks without end.
    std::optional<TextRange> next();

   private:
    friend class Regex;
    Searcher(const Regex& regex, std::string_view text);
    std::optional<TextRange> match_from(size_t start) const;

    const Regex& regex_;
    const void* code_;
    std::string_view text_;
    size_t at_ = 0;
    std::optional<size_t> last_end_;
    bool done_ = false;
  };

  Searcher search(std::string_view text) const { return {*this, text}; }

 private:
  struct Programs;
  std::string where_;
  std::unique_ptr<Programs> programs_;
};

}  // namespace lmoe::text
