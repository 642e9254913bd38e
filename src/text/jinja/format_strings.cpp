// "…".format(…) and "…" % ….
#include <algorithm>
#include <cmath>

#include "text/jinja/format.h"
#include "text/jinja/library.h"
#include "text/jinja/print.h"

namespace lmoe::text::jinja {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

const Value& brace_argument(std::string_view name, CallArguments& arguments, size_t& automatic) {
  if (name.empty() || all_digits(name)) {
    const size_t index = name.empty() ? automatic++ : std::stoul(std::string(name));
    if (index >= arguments.positional.size())
      throw TemplateError("replacement index out of range for positional arguments");
    return arguments.positional[index];
  }
  for (const auto& [key, value] : arguments.keyword)
    if (key == name) return value;
  throw TemplateError("format() has no argument '" + std::string(name) + "'");
}

class PercentFormatter {
 public:
  PercentFormatter(std::string_view format, const Value& values, Budget& budget)
      : format_(format), values_(values), budget_(budget) {}

  std::string run() {
    while (p_ < format_.size()) {
      if (format_[p_] != '%') {
        out_ += format_[p_++];
        continue;
      }
      ++p_;
      conversion();
      budget_.spend_bytes(out_.size() / 64);
    }
    // Python lets containers other than tuples go unused.
    const bool tuple = values_.is_sequence(SequenceKind::kTuple);
    const bool may_stay = !tuple && (values_.is_dict() || values_.is_sequence());
    const size_t given = tuple ? values_.as_sequence().items.size() : 1;
    if (used_ < given && !may_stay)
      throw TemplateError("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  char peek() const {
    if (p_ >= format_.size()) throw TemplateError("incomplete format");
    return format_[p_];
  }

  const Value& next_value() {
    if (!values_.is_sequence(SequenceKind::kTuple)) {
      if (used_++ > 0) throw TemplateError("not enough arguments for format string");
      return values_;
    }
    if (used_ >= values_.as_sequence().items.size())
      throw TemplateError("not enough arguments for format string");
    return values_.as_sequence().items[used_++];
  }

  void conversion() {
    std::string spec;
    const Value* named = nullptr;
    if (peek() == '(') {
      const size_t close = format_.find(')', p_);
      if (close == std::string_view::npos || !values_.is_dict())
        throw TemplateError("format requires a mapping");
      named = find_text(values_.as_dict(), format_.substr(p_ + 1, close - p_ - 1), budget_);
      if (named == nullptr) throw TemplateError("a key of the format string is missing");
      p_ = close + 1;
    }
    FieldFormat field;
    bool left = false, zero = false;
    for (; std::string_view("-+ 0#").find(peek()) != std::string_view::npos; ++p_) {
      if (peek() == '-') left = true;
      if (peek() == '0') zero = true;
      if (peek() == '+' || (peek() == ' ' && field.sign != '+')) field.sign = peek();
      if (peek() == '#') field.alternate = true;
    }
    while (std::string_view("0123456789.").find(peek()) != std::string_view::npos)
      spec += format_[p_++];
    const FieldFormat sizes = parse_format(spec);
    field.width = sizes.width;
    field.precision = sizes.precision;
    const char type = peek();
    ++p_;
    if (type == '%') {
      out_ += '%';
      return;
    }
    const Value& value = named != nullptr ? *named : next_value();
    field.align = left ? '<' : zero ? '=' : '>';
    if (zero && !left) field.fill = "0";
    out_ += convert(value, type, field);
  }

  std::string convert(const Value& value, char type, FieldFormat field) {
    if (type == 's' || type == 'r') {
      if (field.align == '=') field.align = '>', field.fill = " ";
      const Value text(type == 's' ? to_text(value, budget_) : to_repr(value, budget_));
      return format_field(text, field, budget_);
    }
    if (!require_defined(value).is_number())
      throw TemplateError(std::string("%") + type + " format: a number is required, not " +
                          value.type_name());
    if (type == 'd' || type == 'i' || type == 'u') {
      field.type = 'd';
      const int64_t whole = value.is<double>() ? truncated(value.as_double()) : value.as_integer();
      field.precision.reset();
      return format_field(Value(whole), field, budget_);
    }
    if (std::string_view("fFeEgGxXo").find(type) == std::string_view::npos)
      throw TemplateError(std::string("unsupported format character '") + type + "'");
    field.type = type;
    return format_field(value, field, budget_);
  }

  static int64_t truncated(double value) {
    if (!(std::abs(value) < 9e18)) throw TemplateError("cannot convert a float to an integer");
    return static_cast<int64_t>(value);
  }

  std::string_view format_;
  const Value& values_;
  Budget& budget_;
  size_t p_ = 0;
  size_t used_ = 0;
  std::string out_;
};

}  // namespace

std::string brace_format(std::string_view format, CallArguments& arguments, Budget& budget) {
  std::string out;
  size_t automatic = 0;
  for (size_t p = 0; p < format.size(); ++p) {
    const char c = format[p];
    const bool doubled = p + 1 < format.size() && format[p + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      out += c;
      ++p;
    } else if (c == '{') {
      const size_t close = format.find('}', p);
      if (close == std::string_view::npos) throw TemplateError("expected '}' before end of string");
      std::string_view field = format.substr(p + 1, close - p - 1);
      if (field.find('{') != std::string_view::npos)
        throw TemplateError("fields inside a format specifier are not supported");
      const size_t colon = field.find(':');
      const std::string_view spec = colon == std::string_view::npos ? "" : field.substr(colon + 1);
      field = field.substr(0, colon);
      const size_t bang = field.find('!');
      const std::string_view conversion = bang == std::string_view::npos ? "" : field.substr(bang);
      const Value& value = brace_argument(field.substr(0, bang), arguments, automatic);
      const bool as_text = conversion == "!s" || conversion == "!r";
      const Value shown =
          !as_text ? value
                   : Value(conversion == "!r" ? to_repr(value, budget) : to_text(value, budget));
      out += format_field(shown, parse_format(spec), budget);
      p = close;
    } else if (c == '}') {
      throw TemplateError("single '}' encountered in format string");
    } else {
      out += c;
    }
    budget.spend_bytes(out.size() / 256);
  }
  return out;
}

std::string percent_format(std::string_view format, const Value& value, Budget& budget) {
  return PercentFormatter(format, value, budget).run();
}

}  // namespace lmoe::text::jinja
