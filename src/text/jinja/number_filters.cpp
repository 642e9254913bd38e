#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "text/jinja/filters.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

/// Text of a number without the white space around and the underscores inside that Python allows.
std::optional<std::string> cleaned(std::string_view text) {
  std::string out;
  text = strip(text, Side::kBoth);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool inside = i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (text[i] == '_' && !inside) return std::nullopt;
    if (text[i] != '_') out += text[i];
  }
  return out;
}

std::optional<int64_t> parse_integer(std::string_view text, int base) {
  const auto clean = cleaned(text);
  if (!clean || clean->empty()) return std::nullopt;
  const char* begin = clean->data();
  const char* end = begin + clean->size();
  const bool signed_text = *begin == '+' || *begin == '-';
  const bool negative = *begin == '-';
  if (signed_text) ++begin;
  const auto mark = end - begin > 2 && begin[0] == '0' ? begin[1] | 0x20 : 0;
  const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (marked != 0 && (base == marked || base == 0)) {
    begin += 2;
    base = marked;
  }
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value, base == 0 ? 10 : base);
  if (error == std::errc::result_out_of_range) throw TemplateError("a number is too large");
  if (error != std::errc{} || stop != end || *begin == '-') return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
  const auto clean = cleaned(text);
  if (!clean || clean->empty()) return std::nullopt;
  const char* begin = clean->data();
  const char* end = begin + clean->size();
  if (*begin == '+') ++begin;
  double value = 0.0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  const bool fits = error == std::errc{} || error == std::errc::result_out_of_range;
  if (!fits || stop != end || begin == end ||
      std::string_view(begin, end).find('(') != std::string_view::npos)
    return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(begin, nullptr);
  return value;
}

std::optional<double> as_float(const Value& value) {
  if (require_defined(value).is_number()) return value.as_double();
  return value.is_string() ? parse_float(value.as_string()) : std::nullopt;
}

Value to_int(Runtime&, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("int", arguments, {"default", "base"});
  require_defined(operand);
  if (operand.is_integral()) return Value(operand.as_integer());
  const auto base = read.integer(1, 10);
  if (base != 0 && (base < 2 || base > 36)) throw TemplateError("int: base must be 0 or 2 to 36");
  if (operand.is_string()) {
    if (const auto value = parse_integer(operand.as_string(), static_cast<int>(base)))
      return Value(*value);
  }
  const auto number = as_float(operand);
  if (number && std::isfinite(*number)) {
    if (std::abs(*number) >= 9.2e18) throw TemplateError("a number is too large");
    return Value(static_cast<int64_t>(*number));
  }
  return read.has(0) ? read.required(0) : Value(int64_t{0});
}

Value to_float(Runtime&, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("float", arguments, {"default"});
  if (const auto value = as_float(operand)) return Value(*value);
  return read.has(0) ? read.required(0) : Value(0.0);
}

Value absolute(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("abs", arguments, {});
  if (!require_defined(operand).is_number())
    throw TemplateError("bad operand type for abs(): '" + operand.type_name() + "'");
  if (operand.is<double>()) return Value(std::abs(operand.as_double()));
  const int64_t number = operand.as_integer();
  return calculate("*", Value(number), Value(int64_t{number < 0 ? -1 : 1}), runtime.budget());
}

/// round(): to the nearest decimal of the exact value, halves to even.
double rounded(double value, int64_t precision) {
  if (!std::isfinite(value)) return value;
  if (precision > 300) return value;
  if (precision < -300) return std::copysign(0.0, value);
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(value / scale) * scale;
  }
  char buffer[700];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value);
  return std::strtod(buffer, nullptr);
}

Value round_number(Runtime&, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("round", arguments, {"precision", "method"});
  const int64_t precision = read.integer(0, 0);
  const std::string method =
      read.has(1) && read.required(1).is_string() ? read.required(1).as_string() : "common";
  if (!require_defined(operand).is_number())
    throw TemplateError("type " + operand.type_name() + " can't be rounded");
  if (method == "common") {
    if (operand.is<double>()) return Value(rounded(operand.as_double(), precision));
    if (precision >= 0) return Value(operand.as_integer());
    const double result = rounded(operand.as_double(), precision);
    if (std::abs(result) >= 9.2e18) throw TemplateError("a number is too large");
    return Value(static_cast<int64_t>(result));
  }
  if (method != "ceil" && method != "floor")
    throw TemplateError("round: method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = operand.as_double() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

constexpr Named<Filter> kFilters[] = {
    {"abs", absolute},
    {"float", to_float},
    {"int", to_int},
    {"round", round_number},
};

}  // namespace

std::span<const Named<Filter>> number_filters() { return kFilters; }

}  // namespace lmoe::text::jinja
