// str.split and friends: what takes text apart and searches it.
#include <algorithm>

#include "text/jinja/methods.h"
#include "text/jinja/print.h"
#include "text/jinja/string_functions.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

const std::string& text_argument(const ArgumentReader& read, size_t i) {
  const Value& value = require_defined(read.required(i));
  if (!value.is_string()) throw TemplateError("expected str, got '" + value.type_name() + "'");
  return value.as_string();
}

template <Side kSide>
Value strip_method(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("strip", arguments, {""});
  if (read.optional(0).is_none()) return Value(std::string(strip(self.as_string(), kSide)));
  return Value(std::string(strip(self.as_string(), kSide, text_argument(read, 0))));
}

template <bool kFromRight>
Value split_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("split", arguments, {"sep", "maxsplit"});
  const int64_t limit = read.integer(1, -1);
  const auto parts = read.optional(0).is_none()
                         ? split_space(self.as_string(), limit, kFromRight)
                         : split_text(self.as_string(), text_argument(read, 0), limit, kFromRight);
  std::vector<Value> items;
  for (const auto part : parts) items.emplace_back(std::string(part));
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return Value::list(std::move(items));
}

Value splitlines_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("splitlines", arguments, {"keepends"});
  std::vector<Value> items;
  for (const auto line : split_lines(self.as_string(), read.flag(0, false)))
    items.emplace_back(std::string(line));
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return Value::list(std::move(items));
}

/// The part of `self` between the optional arguments `first` and `first + 1`, by character.
std::string bounded(Runtime& runtime, const Value& self, const ArgumentReader& read, size_t first) {
  if (!read.has(first)) return self.as_string();
  return get_slice(self, read.optional(first), read.optional(first + 1), Value(None{}),
                   runtime.budget())
      .as_string();
}

template <bool kAtStart>
Value affix_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read(kAtStart ? "startswith" : "endswith", arguments, {"", "", ""});
  const std::string text = bounded(runtime, self, read, 1);
  const auto matches = [&](const Value& affix) {
    if (!require_defined(affix).is_string())
      throw TemplateError("startswith or endswith needs str or a tuple of str, not '" +
                          affix.type_name() + "'");
    return kAtStart ? std::string_view(text).starts_with(affix.as_string())
                    : std::string_view(text).ends_with(affix.as_string());
  };
  const Value& affix = read.required(0);
  if (!affix.is_sequence(SequenceKind::kTuple)) return Value(matches(affix));
  const auto& choices = affix.as_sequence().items;
  return Value(std::any_of(choices.begin(), choices.end(), matches));
}

template <bool kFromRight, bool kMustExist>
Value find_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("find", arguments, {"", "", ""});
  const std::string text = bounded(runtime, self, read, 1);
  const std::string& wanted = text_argument(read, 0);
  const size_t at = kFromRight ? text.rfind(wanted) : text.find(wanted);
  if (at == std::string::npos) {
    if (kMustExist) throw TemplateError("substring not found");
    return Value(int64_t{-1});
  }
  int64_t start = read.has(1) && !read.optional(1).is_none() ? read.integer(1, 0) : 0;
  if (start < 0) start = std::max<int64_t>(0, start + count_characters(self.as_string()));
  return Value(start + count_characters(std::string_view(text).substr(0, at)));
}

Value count_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("count", arguments, {"", "", ""});
  const std::string text = bounded(runtime, self, read, 1);
  const std::string& wanted = text_argument(read, 0);
  if (wanted.empty()) return Value(count_characters(text) + 1);
  int64_t count = 0;
  for (size_t at = text.find(wanted); at != std::string::npos;
       at = text.find(wanted, at + wanted.size()))
    ++count;
  return Value(count);
}

template <bool kFromRight>
Value partition_method(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("partition", arguments, {""});
  const std::string& text = self.as_string();
  const std::string& separator = text_argument(read, 0);
  if (separator.empty()) throw TemplateError("empty separator");
  const size_t at = kFromRight ? text.rfind(separator) : text.find(separator);
  const Value none(std::string{});
  if (at == std::string::npos)
    return kFromRight ? Value::tuple({none, none, self}) : Value::tuple({self, none, none});
  return Value::tuple(
      {Value(text.substr(0, at)), Value(separator), Value(text.substr(at + separator.size()))});
}

Value replace_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("replace", arguments, {"", "", ""});
  return Value(replace_text(self.as_string(), text_argument(read, 0), text_argument(read, 1),
                            read.integer(2, -1), runtime.budget()));
}

Value join_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("join", arguments, {""});
  const auto items = iterate(read.required(0), runtime.budget());
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string())
      throw TemplateError("sequence item " + std::to_string(i) + ": expected str instance, " +
                          items[i].type_name() + " found");
    if (i > 0) out += self.as_string();
    out += items[i].as_string();
    runtime.budget().spend_bytes(out.size() / 16);
  }
  return Value(std::move(out));
}

template <bool kPrefix>
Value remove_affix_method(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("removeprefix", arguments, {""});
  std::string_view text = self.as_string();
  const std::string& affix = text_argument(read, 0);
  if (kPrefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!kPrefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return Value(std::string(text));
}

Value format_method(Runtime& runtime, const Value& self, CallArguments& arguments) {
  return Value(brace_format(self.as_string(), arguments, runtime.budget()));
}

constexpr Named<Method> kMethods[] = {
    {"count", count_method},
    {"endswith", affix_method<false>},
    {"find", find_method<false, false>},
    {"format", format_method},
    {"index", find_method<false, true>},
    {"join", join_method},
    {"lstrip", strip_method<Side::kLeft>},
    {"partition", partition_method<false>},
    {"removeprefix", remove_affix_method<true>},
    {"removesuffix", remove_affix_method<false>},
    {"replace", replace_method},
    {"rfind", find_method<true, false>},
    {"rindex", find_method<true, true>},
    {"rpartition", partition_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<Side::kRight>},
    {"split", split_method<false>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<true>},
    {"strip", strip_method<Side::kBoth>},
};

}  // namespace

Method find_string_method(std::string_view name) {
  for (const auto& [known, method] : kMethods)
    if (known == name) return method;
  return find_case_method(name);
}

}  // namespace lmoe::text::jinja
