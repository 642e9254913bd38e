#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

Value count(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("length", arguments, {});
  return Value(length(operand, runtime.budget()));
}

Value first(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("first", arguments, {});
  const auto items = iterate(operand, runtime.budget());
  return items.empty() ? Value::undefined("No first item, sequence was empty.")
                       : items.values().front();
}

Value last(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("last", arguments, {});
  if (operand.is_sequence(SequenceKind::kGenerator) || operand.is_undefined())
    throw TemplateError("'" + operand.type_name() + "' object is not reversible");
  const auto items = iterate(operand, runtime.budget());
  return items.empty() ? Value::undefined("No last item, sequence was empty.")
                       : items.values().back();
}

Value to_list(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("list", arguments, {});
  std::vector<Value> items = iterate(operand, runtime.budget()).values();
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return Value::list(std::move(items));
}

Value reverse(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("reverse", arguments, {});
  std::vector<Value> items = iterate(operand, runtime.budget()).values();
  std::reverse(items.begin(), items.end());
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  if (operand.is_string()) {
    std::string out;
    for (const Value& item : items) out += item.as_string();
    return Value(std::move(out));
  }
  const bool was_generator = operand.is_sequence(SequenceKind::kGenerator);
  return was_generator ? Value::list(std::move(items)) : Value::generator(std::move(items));
}

Value join(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("join", arguments, {"d", "attribute"});
  Budget& budget = runtime.budget();
  const std::string separator = read.has(0) ? to_text(read.required(0), budget) : "";
  const AttributeGetter attribute(read.optional(1));
  std::string out;
  bool is_first = true;
  for (const Value& item : iterate(operand, budget)) {
    if (!is_first) out += separator;
    is_first = false;
    out += to_text(attribute(item, budget), budget);
    budget.spend_bytes(out.size() / 16);
  }
  return Value(std::move(out));
}

Value items(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("items", arguments, {});
  std::vector<Value> pairs;
  if (operand.is_dict()) {
    for (const auto& [key, value] : operand.as_dict().entries)
      pairs.push_back(Value::tuple({key, value}));
  } else if (!operand.is_undefined()) {
    throw TemplateError("Can only get item pairs from a mapping.");
  }
  runtime.budget().spend(static_cast<int64_t>(pairs.size()));
  return Value::generator(std::move(pairs));
}

Value otherwise(Runtime&, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("default", arguments, {"default_value", "boolean"});
  const bool replace = operand.is_undefined() || (read.flag(1, false) && !truthy(operand));
  if (!replace) return operand;
  return read.has(0) ? read.required(0) : Value(std::string{});
}

Value sum(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("sum", arguments, {"attribute", "start"});
  const AttributeGetter attribute(read.optional(0));
  Value total = read.has(1) ? read.required(1) : Value(int64_t{0});
  if (total.is_string()) throw TemplateError("sum() can't sum strings");
  for (const Value& item : iterate(operand, runtime.budget()))
    total = calculate("+", total, attribute(item, runtime.budget()), runtime.budget());
  return total;
}

Value batch(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("batch", arguments, {"linecount", "fill_with"});
  read.required(0);
  const int64_t size = read.integer(0, 0);
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : iterate(operand, runtime.budget())) {
    if (static_cast<int64_t>(row.size()) == size) {
      rows.push_back(Value::list(std::move(row)));
      row = {};
    }
    row.push_back(item);
    runtime.budget().spend(1);
  }
  while (!row.empty() && !read.optional(1).is_none() && static_cast<int64_t>(row.size()) < size) {
    row.push_back(read.optional(1));
    runtime.budget().spend(1);
  }
  if (!row.empty()) rows.push_back(Value::list(std::move(row)));
  return Value::generator(std::move(rows));
}

Value slice(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("slice", arguments, {"slices", "fill_with"});
  read.required(0);
  const int64_t slices = read.integer(0, 0);
  const auto all = iterate(operand, runtime.budget());
  const auto size = static_cast<int64_t>(all.size());
  if (slices == 0) throw TemplateError("division by zero");
  runtime.budget().spend(std::max<int64_t>(slices, 0) + size);
  std::vector<Value> rows;
  int64_t next = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const bool longer = i < size % slices;
    const int64_t end = next + size / slices + (longer ? 1 : 0);
    std::vector<Value> row(all.begin() + next, all.begin() + end);
    next = end;
    if (!read.optional(1).is_none() && !longer) row.push_back(read.optional(1));
    rows.push_back(Value::list(std::move(row)));
  }
  return Value::generator(std::move(rows));
}

Value attribute_of(Runtime&, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("attr", arguments, {"name"});
  if (!read.required(0).is_string()) throw TemplateError("attr: the name must be text");
  return attribute_without_entries(operand, read.required(0).as_string());
}

constexpr Named<Filter> kFilters[] = {
    {"attr", attribute_of}, {"batch", batch},  {"count", count},  {"d", otherwise},
    {"default", otherwise}, {"first", first},  {"items", items},  {"join", join},
    {"last", last},         {"length", count}, {"list", to_list}, {"reverse", reverse},
    {"slice", slice},       {"sum", sum},
};

}  // namespace

std::span<const Named<Filter>> sequence_filters() { return kFilters; }

}  // namespace lmoe::text::jinja
