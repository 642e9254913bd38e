#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

class JsonPrinter {
 public:
  JsonPrinter(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  void print(const Value& value, int level) {
    budget_.spend(1);
    if (value.is_none()) {
      out_ += "null";
    } else if (value.is<bool>()) {
      out_ += value.get<bool>() ? "true" : "false";
    } else if (value.is_number()) {
      out_ += number(value);
    } else if (value.is_string()) {
      print_string(value.as_string());
    } else if (value.is_list_or_tuple()) {
      print_list(value.as_sequence(), level);
    } else if (value.is_dict()) {
      print_dict(value.as_dict(), level);
    } else {
      throw TemplateError("Object of type " + value.type_name() + " is not JSON serializable");
    }
    budget_.spend_bytes(out_.size() / 64);
  }
  std::string take() { return std::move(out_); }

 private:
  static std::string number(const Value& value) {
    if (value.is_integral()) return std::to_string(value.as_integer());
    const double number = value.as_double();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_repr(number);
  }

  void new_line(int level) {
    if (!style_.indent) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += *style_.indent;
  }

  void print_list(const Sequence& sequence, int level) {
    if (sequence.items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    bool first = true;
    for (const Value& item : sequence.items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      print(item, level + 1);
    }
    new_line(level);
    out_ += ']';
  }

  void print_dict(const Dict& dict, int level) {
    if (dict.entries.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return compare(a->first, b->first, budget_) == -1;
      });
    }
    out_ += '{';
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      print_string(key_text(entry->first));
      out_ += style_.key_separator;
      print(entry->second, level + 1);
    }
    new_line(level);
    out_ += '}';
  }

  static std::string key_text(const Value& key) {
    if (key.is_string()) return key.as_string();
    if (key.is_none()) return "null";
    if (key.is<bool>()) return key.get<bool>() ? "true" : "false";
    if (key.is_number()) return number(key);
    throw TemplateError("keys must be str, int, float, bool or None, not " + key.type_name());
  }

  void print_string(const std::string& text) {
    budget_.spend_bytes(text.size());
    out_ += '"';
    for (const auto character : characters(text)) print_character(character);
    out_ += '"';
  }

  void print_character(std::string_view character) {
    const char32_t code = code_point(character);
    switch (code) {
      case '"':
        out_ += "\\\"";
        return;
      case '\\':
        out_ += "\\\\";
        return;
      case '\n':
        out_ += "\\n";
        return;
      case '\r':
        out_ += "\\r";
        return;
      case '\t':
        out_ += "\\t";
        return;
      case '\f':
        out_ += "\\f";
        return;
      case '\b':
        out_ += "\\b";
        return;
      default:
        break;
    }
    if (code < 0x20 || (style_.ensure_ascii && code > 0x7F)) {
      append_unit(code);
    } else {
      out_ += character;
    }
  }

  void append_unit(char32_t code) {
    char buffer[16];
    if (code > 0xFFFF) {
      code -= 0x10000;
      std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x",
                    static_cast<unsigned>(0xD800 + (code >> 10)),
                    static_cast<unsigned>(0xDC00 + (code & 0x3FF)));
    } else {
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(code));
    }
    out_ += buffer;
  }

  const JsonStyle& style_;
  Budget& budget_;
  std::string out_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style, Budget& budget) {
  JsonPrinter printer(style, budget);
  printer.print(value, 0);
  return printer.take();
}

}  // namespace lmoe::text::jinja
