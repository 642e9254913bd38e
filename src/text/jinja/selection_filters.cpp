// map, select, reject and their kin; attribute paths.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/string_functions.h"

namespace lmoe::text::jinja {
namespace {

/// What stands behind the first `used` arguments: those of the inner filter or test.
CallArguments rest(const CallArguments& arguments, size_t used) {
  CallArguments inner = arguments;
  inner.positional.erase(inner.positional.begin(),
                         inner.positional.begin() + static_cast<ptrdiff_t>(used));
  return inner;
}

Value map_attribute(Runtime& runtime, const Items& items, CallArguments& arguments) {
  const ArgumentReader read("map", arguments, {"attribute", "default"});
  const AttributeGetter attribute(read.required(0), read.optional(1));
  std::vector<Value> out;
  for (const Value& item : items) out.push_back(attribute(item, runtime.budget()));
  return Value::generator(std::move(out));
}

Value map(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  if (!truthy(operand)) return Value::generator({});
  const auto items = iterate(operand, runtime.budget());
  const bool by_attribute =
      arguments.positional.empty() &&
      std::any_of(arguments.keyword.begin(), arguments.keyword.end(),
                  [](const auto& entry) { return entry.first == "attribute"; });
  if (by_attribute) return map_attribute(runtime, items, arguments);
  if (arguments.positional.empty() || !arguments.positional[0].is_string())
    throw TemplateError("map requires a filter argument");
  std::vector<Value> out;
  for (const Value& item : items) {
    CallArguments inner = rest(arguments, 1);
    runtime.budget().spend(1);
    out.push_back(apply_filter(runtime, arguments.positional[0].as_string(), item, inner));
  }
  return Value::generator(std::move(out));
}

template <bool kKeep, bool kByAttribute>
Value choose(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  if (!truthy(operand)) return Value::generator({});
  const size_t offset = kByAttribute ? 1 : 0;
  if (kByAttribute && arguments.positional.empty())
    throw TemplateError("Missing parameter for attribute name");
  const AttributeGetter attribute(kByAttribute ? arguments.positional[0] : Value(None{}));
  const bool with_test = arguments.positional.size() > offset;
  if (with_test && !arguments.positional[offset].is_string())
    throw TemplateError("the name of a test must be text");
  std::vector<Value> out;
  for (const Value& item : iterate(operand, runtime.budget())) {
    runtime.budget().spend(1);
    const Value value = attribute(item, runtime.budget());
    bool holds = false;
    if (with_test) {
      CallArguments inner = rest(arguments, offset + 1);
      holds = apply_test(runtime, arguments.positional[offset].as_string(), value, inner);
    } else {
      holds = truthy(value);
    }
    if (holds == kKeep) out.push_back(item);
  }
  return Value::generator(std::move(out));
}

constexpr Named<Filter> kFilters[] = {
    {"map", map},
    {"reject", choose<false, false>},
    {"rejectattr", choose<false, true>},
    {"select", choose<true, false>},
    {"selectattr", choose<true, true>},
};

}  // namespace

AttributeGetter::AttributeGetter(const Value& attribute, Value otherwise)
    : otherwise_(std::move(otherwise)) {
  if (attribute.is_none()) return;
  if (!attribute.is_string()) {
    parts_.push_back(attribute);
    return;
  }
  for (const auto part : split_text(attribute.as_string(), ".", -1, false)) {
    const bool number = !part.empty() && part.size() < 18 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    parts_.push_back(number ? Value(int64_t{std::stoll(std::string(part))})
                            : Value(std::string(part)));
  }
}

Value AttributeGetter::operator()(const Value& value, Budget& budget) const {
  Value result = value;
  for (const Value& part : parts_) {
    result = get_item(result, part, budget);
    if (result.is_undefined() && !otherwise_.is_none()) result = otherwise_;
  }
  return result;
}

std::span<const Named<Filter>> selection_filters() { return kFilters; }

}  // namespace lmoe::text::jinja
