// Values as text: str(), repr() and json.dumps() of Python.
#pragma once

#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace lmoe::text::jinja {

std::string to_text(const Value& value, Budget& budget);
std::string to_repr(const Value& value, Budget& budget);
std::string float_repr(double value);
std::string quoted_repr(std::string_view text);

struct JsonStyle {
  bool ensure_ascii = false;
  std::optional<std::string> indent;  ///< one level of it; none = one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

/// Throws TemplateError for what JSON cannot say.
std::string to_json(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace lmoe::text::jinja
