#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/print.h"
#include "text/jinja/string_functions.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

template <std::string (*kConvert)(std::string_view)>
Value convert(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("this filter", arguments, {});
  return Value(kConvert(to_text(operand, runtime.budget())));
}

/// Words begin after white space, hyphens and opening brackets; other than str.title.
std::string title_filter(std::string_view text) {
  std::string out;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    const size_t first = characters(word)[0].size();
    out += to_upper(std::string_view(word).substr(0, first)) +
           to_lower(std::string_view(word).substr(first));
    word.clear();
  };
  for (const auto character : characters(text)) {
    const bool border = is_space(code_point(character)) ||
                        (character.size() == 1 &&
                         std::string_view("-({[<").find(character) != std::string_view::npos);
    if (border) {
      flush();
      out += character;
    } else {
      word += character;
    }
  }
  flush();
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string same(std::string_view text) { return std::string(text); }

Value trim(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("trim", arguments, {"chars"});
  const std::string text = to_text(operand, runtime.budget());
  if (read.optional(0).is_none()) return Value(std::string(strip(text, Side::kBoth)));
  if (!read.optional(0).is_string()) throw TemplateError("trim: chars must be text");
  return Value(std::string(strip(text, Side::kBoth, read.optional(0).as_string())));
}

Value replace(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("replace", arguments, {"old", "new", "count"});
  Budget& budget = runtime.budget();
  return Value(replace_text(to_text(operand, budget), to_text(read.required(0), budget),
                            to_text(read.required(1), budget),
                            read.optional(2).is_none() ? -1 : read.integer(2, -1), budget));
}

Value center(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("center", arguments, {"width"});
  return Value(pad(to_text(operand, runtime.budget()), read.integer(0, 80), Align::kCenter, " ",
                   runtime.budget()));
}

Value indent(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("indent", arguments, {"width", "first", "blank"});
  if (!require_defined(operand).is_string())
    throw TemplateError("indent needs text, not '" + operand.type_name() + "'");
  Budget& budget = runtime.budget();
  const std::string indention = read.optional(0).is_string()
                                    ? read.optional(0).as_string()
                                    : pad("", read.integer(0, 4), Align::kLeft, " ", budget);
  const bool blank = read.flag(2, false);
  std::string out = read.flag(1, false) ? indention : "";
  bool first = true;
  const std::string text = operand.as_string() + "\n";
  for (const auto line : split_lines(text, false)) {
    if (!first) {
      out += '\n';
      if (blank || !line.empty()) out += indention;
      budget.spend_bytes(out.size() / 256 + indention.size());
    }
    first = false;
    out += line;
  }
  return Value(std::move(out));
}

Value truncate(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const std::string text = to_text(operand, runtime.budget());
  const auto letters = characters(text);
  const int64_t limit = read.integer(0, 255);
  const std::string end = read.has(2) ? to_text(read.required(2), runtime.budget()) : "...";
  const int64_t keep = limit - count_characters(end);
  const int64_t leeway = read.integer(3, 5);
  if (keep < 0 || leeway < 0)
    throw TemplateError("truncate: the length is shorter than the end, or the leeway negative");
  if (static_cast<int64_t>(letters.size()) <= limit + leeway) return Value(text);
  std::string head;
  for (int64_t i = 0; i < keep; ++i) head += letters[static_cast<size_t>(i)];
  if (!read.flag(1, false)) head = head.substr(0, std::min(head.rfind(' '), head.size()));
  return Value(head + end);
}

Value wordcount(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("wordcount", arguments, {});
  int64_t words = 0;
  bool inside = false;
  const std::string text = to_text(operand, runtime.budget());
  for (const auto character : characters(text)) {
    const bool word = is_word(code_point(character));
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value(words);
}

Value format(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  if (!arguments.positional.empty() && !arguments.keyword.empty())
    throw TemplateError("can't handle positional and keyword arguments at the same time");
  Value values = Value::tuple(arguments.positional);
  if (!arguments.keyword.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [key, value] : arguments.keyword) entries.emplace_back(Value(key), value);
    values = Value::dict(std::move(entries));
  }
  return Value(percent_format(to_text(operand, runtime.budget()), values, runtime.budget()));
}

/// transformers' own: no HTML escapes, non-ASCII as it is.
Value tojson(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("tojson", arguments,
                            {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = read.flag(0, false);
  style.sort_keys = read.flag(3, false);
  if (!read.optional(1).is_none()) {
    style.indent = read.optional(1).is_string()
                       ? read.optional(1).as_string()
                       : pad("", read.integer(1, 0), Align::kLeft, " ", runtime.budget());
    style.item_separator = ",";
  }
  if (!read.optional(2).is_none()) {
    const auto pair = iterate(read.optional(2), runtime.budget());
    if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
      throw TemplateError("tojson: separators must be two texts");
    style.item_separator = pair[0].as_string();
    style.key_separator = pair[1].as_string();
  }
  return Value(to_json(operand, style, runtime.budget()));
}

constexpr Named<Filter> kFilters[] = {
    {"capitalize", convert<capitalize>},
    {"center", center},
    {"e", convert<escape>},
    {"escape", convert<escape>},
    {"forceescape", convert<escape>},
    {"format", format},
    {"indent", indent},
    {"lower", convert<to_lower>},
    {"replace", replace},
    {"safe", convert<same>},
    {"string", convert<same>},
    {"title", convert<title_filter>},
    {"tojson", tojson},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", convert<to_upper>},
    {"wordcount", wordcount},
};

}  // namespace

std::span<const Named<Filter>> text_filters() { return kFilters; }

}  // namespace lmoe::text::jinja
