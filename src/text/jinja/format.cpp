#include "text/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/print.h"
#include "text/jinja/string_functions.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

constexpr int64_t kMaxPrecision = 1000;

int64_t read_number(std::string_view spec, size_t& p) {
  int64_t number = 0;
  while (p < spec.size() && spec[p] >= '0' && spec[p] <= '9') {
    number = number * 10 + (spec[p++] - '0');
    if (number > 1'000'000) throw TemplateError("a width or precision is too large");
  }
  return number;
}

std::string group_thousands(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string digits_of(uint64_t number, int base) {
  char buffer[65];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, number, base).ptr};
}

std::string format_integer(uint64_t magnitude, const FieldFormat& format) {
  switch (format.type) {
    case 'x':
      return (format.alternate ? "0x" : "") + digits_of(magnitude, 16);
    case 'X':
      return (format.alternate ? "0X" : "") + to_upper(digits_of(magnitude, 16));
    case 'o':
      return (format.alternate ? "0o" : "") + digits_of(magnitude, 8);
    case 'b':
      return (format.alternate ? "0b" : "") + digits_of(magnitude, 2);
    default:
      return digits_of(magnitude, 10);
  }
}

std::string format_double(double magnitude, const FieldFormat& format) {
  const bool percent = format.type == '%';
  if (std::isinf(magnitude)) return percent ? "inf%" : "inf";
  if (std::isnan(magnitude)) return percent ? "nan%" : "nan";
  if (format.type == 0 && !format.precision) return float_repr(magnitude);
  const char pattern[] = {'%', '.', '*', percent ? 'f' : format.type == 0 ? 'g' : format.type, 0};
  const int precision = static_cast<int>(format.precision.value_or(6));
  const double value = percent ? magnitude * 100.0 : magnitude;
  const int length = std::snprintf(nullptr, 0, pattern, precision, value);
  std::string out(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(out.data(), out.size(), pattern, precision, value);
  out.pop_back();
  if (format.type == 0 && out.find_first_not_of("0123456789") == std::string::npos) out += ".0";
  return percent ? out + "%" : out;
}

std::string format_number(const Value& value, const FieldFormat& format, Budget& budget) {
  const bool float_type = std::string_view("fFeEgG%").find(format.type) != std::string_view::npos;
  if (value.is<double>() && format.type != 0 && !float_type)
    throw TemplateError(std::string("unknown format code '") + format.type + "' for a float");
  std::string digits;
  bool negative = false;
  if (value.is<double>() || float_type) {
    negative = std::signbit(value.as_double());
    digits = format_double(std::abs(value.as_double()), format);
  } else {
    const int64_t number = value.as_integer();
    negative = number < 0;
    digits = format_integer(
        negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number), format);
  }
  if (format.grouped) digits = group_thousands(digits);
  const std::string sign = negative ? "-" : format.sign == '-' ? "" : std::string(1, format.sign);
  if (format.align == '=')
    return sign + pad(digits, format.width - static_cast<int64_t>(sign.size()), Align::kRight,
                      format.fill, budget);
  return sign + digits;
}

}  // namespace

FieldFormat parse_format(std::string_view spec) {
  FieldFormat format;
  const auto is_align = [](std::string_view c) {
    return c.size() == 1 && std::string_view("<>^=").find(c[0]) != std::string_view::npos;
  };
  const auto letters = characters(spec);
  size_t p = 0;
  if (letters.size() >= 2 && is_align(letters[1])) {
    format.fill = std::string(letters[0]);
    format.align = letters[1][0];
    p = letters[0].size() + 1;
  } else if (!letters.empty() && is_align(letters[0])) {
    format.align = letters[0][0];
    p = 1;
  }
  const auto at = [&](std::string_view set) {
    return p < spec.size() && set.find(spec[p]) != std::string_view::npos;
  };
  if (at("+- ")) format.sign = spec[p++];
  if (at("#")) format.alternate = ++p > 0;
  if (at("0")) {
    ++p;
    if (format.align == 0) {
      format.align = '=';
      format.fill = "0";
    }
  }
  format.width = read_number(spec, p);
  if (at(",")) format.grouped = ++p > 0;
  if (at(".")) {
    ++p;
    format.precision = read_number(spec, p);
    if (*format.precision > kMaxPrecision) throw TemplateError("a precision is too large");
  }
  if (at("sdfFeEgGxXob%")) format.type = spec[p++];
  if (p != spec.size()) throw TemplateError("invalid format specifier '" + std::string(spec) + "'");
  return format;
}

std::string format_field(const Value& value, const FieldFormat& format, Budget& budget) {
  const bool as_number =
      value.is_number() && format.type != 's' && !(value.is<bool>() && format.type == 0);
  std::string text;
  if (as_number) {
    text = format_number(value, format, budget);
  } else {
    if (format.type != 0 && format.type != 's')
      throw TemplateError(std::string("unknown format code '") + format.type +
                          "' for an object of type '" + value.type_name() + "'");
    text = to_text(value, budget);
    if (format.precision) {
      const auto letters = characters(text);
      if (static_cast<int64_t>(letters.size()) > *format.precision)
        text.resize(static_cast<size_t>(letters[static_cast<size_t>(*format.precision)].data() -
                                        text.data()));
    }
  }
  const Align align = format.align == '^'                          ? Align::kCenter
                      : format.align == '>' || format.align == '=' ? Align::kRight
                      : format.align == '<'                        ? Align::kLeft
                      : as_number                                  ? Align::kRight
                                                                   : Align::kLeft;
  if (align != Align::kCenter) return pad(text, format.width, align, format.fill, budget);
  // format() puts the odd blank on the right, other than str.center.
  const int64_t missing = std::max<int64_t>(0, format.width - count_characters(text));
  const std::string left = pad("", missing / 2, Align::kRight, format.fill, budget);
  return left + text + pad("", missing - missing / 2, Align::kRight, format.fill, budget);
}

}  // namespace lmoe::text::jinja
