#include "text/jinja/print.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/unicode.h"
#include "text/utf8.h"

namespace lmoe::text::jinja {
namespace {

void append_escape(std::string& out, const char* format, unsigned code) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, format, code);
  out += buffer;
}

void append_repr(std::string& out, const Value& value, Budget& budget);

void append_sequence(std::string& out, const Sequence& sequence, Budget& budget) {
  if (sequence.kind == SequenceKind::kGenerator) {
    out += "<generator object>";
    return;
  }
  if (sequence.kind == SequenceKind::kRange) {
    const auto& items = sequence.items;
    const int64_t first = items.empty() ? 0 : items.front().as_integer();
    const int64_t step = items.size() < 2 ? 1 : items[1].as_integer() - first;
    const int64_t end = items.empty() ? 0 : items.back().as_integer() + (step > 0 ? 1 : -1);
    out += "range(" + std::to_string(first) + ", " + std::to_string(end) +
           (step == 1 ? ")" : ", " + std::to_string(step) + ")");
    return;
  }
  const bool tuple = sequence.kind == SequenceKind::kTuple;
  out += tuple ? '(' : '[';
  for (size_t i = 0; i < sequence.items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(out, sequence.items[i], budget);
  }
  if (tuple && sequence.items.size() == 1) out += ',';
  out += tuple ? ')' : ']';
}

void append_repr(std::string& out, const Value& value, Budget& budget) {
  budget.spend(1);
  budget.spend_bytes(out.size() / 64);
  if (value.is_string()) {
    budget.spend_bytes(value.as_string().size());
    out += quoted_repr(value.as_string());
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.is_sequence()) {
    append_sequence(out, value.as_sequence(), budget);
  } else if (value.is_dict()) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : value.as_dict().entries) {
      if (!first) out += ", ";
      first = false;
      append_repr(out, key, budget);
      out += ": ";
      append_repr(out, item, budget);
    }
    out += '}';
  } else {
    out += to_text(value, budget);
  }
  budget.spend_bytes(out.size() / 64);
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto result =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string text(buffer, result.ptr);
  const size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return text;  // to_chars writes at least two digits too
  char fixed[512];
  const auto end = std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed).ptr;
  std::string out(fixed, end);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

std::string quoted_repr(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const auto character : characters(text)) {
    const char32_t code = code_point(character);
    if (code == static_cast<char32_t>(quote) || code == '\\') {
      (out += '\\') += character;
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_printable(code)) {
      out += character;
    } else if (code <= 0xFF) {
      append_escape(out, "\\x%02x", code);
    } else {
      append_escape(out, code <= 0xFFFF ? "\\u%04x" : "\\U%08x", code);
    }
  }
  out += quote;
  return out;
}

std::string to_repr(const Value& value, Budget& budget) {
  std::string out;
  append_repr(out, value, budget);
  return out;
}

std::string to_text(const Value& value, Budget& budget) {
  if (value.is_undefined()) return {};
  if (value.is_none()) return "None";
  if (value.is<bool>()) return value.get<bool>() ? "True" : "False";
  if (value.is<int64_t>()) return std::to_string(value.get<int64_t>());
  if (value.is<double>()) return float_repr(value.get<double>());
  if (value.is_string()) return value.as_string();
  if (value.is_sequence() || value.is_dict()) return to_repr(value, budget);
  if (value.is<std::shared_ptr<const Callable>>())
    return "<function " + value.get<std::shared_ptr<const Callable>>()->name + ">";
  return "<" + value.type_name() + ">";
}

}  // namespace lmoe::text::jinja
