// One formatted field, as Python's format() and % make it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace lmoe::text::jinja {

struct FieldFormat {
  std::string fill = " ";
  char align = 0;  ///< '<', '>', '^', '=' or 0: numbers right, text left
  char sign = '-';
  bool alternate = false;
  bool grouped = false;  ///< commas between thousands
  int64_t width = 0;
  std::optional<int64_t> precision;
  char type = 0;
};

/// "[[fill]align][sign][#][0][width][,][.precision][type]". Throws TemplateError.
FieldFormat parse_format(std::string_view spec);

/// Throws TemplateError for a type that does not fit the value.
std::string format_field(const Value& value, const FieldFormat& format, Budget& budget);

}  // namespace lmoe::text::jinja
