// What to look for: {"String": "…"} or {"Regex": "…"} of tokenizer.json.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/regex.h"

namespace lmoe::text {

class Pattern {
 public:
  explicit Pattern(Regex regex) : regex_(std::move(regex)) {}
  explicit Pattern(std::string literal) : literal_(std::move(literal)) {}
  /// `json` is the value of a `pattern` field; `where` its path.
  static Pattern from_json(const Json& json, const std::string& where);

  /// Cuts valid UTF-8 `text` into matches and what lies between; every byte is in exactly one
  /// range.
  void for_each_range(std::string_view text,
                      const std::function<void(TextRange, bool is_match)>& use) const;
  std::string replace_all(std::string_view text, std::string_view by) const;

 private:
  void for_each_match(std::string_view text, const std::function<void(TextRange)>& use) const;

  std::optional<Regex> regex_;
  std::string literal_;
};

}  // namespace lmoe::text
