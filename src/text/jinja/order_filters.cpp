// sort, unique, groupby, min, max, dictsort.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/string_functions.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

Value folded(const Value& key, bool case_sensitive) {
  return key.is_string() && !case_sensitive ? Value(to_lower(key.as_string())) : key;
}

using Keyed = std::pair<Value, Value>;  // sort key, item

std::vector<Value> sort_keyed(std::vector<Keyed> keyed, bool reverse, Budget& budget) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? compare(b.first, a.first, budget) == -1
                   : compare(a.first, b.first, budget) == -1;
  });
  std::vector<Value> out;
  for (Keyed& entry : keyed) out.push_back(std::move(entry.second));
  return out;
}

/// The key of `attribute="a,b.c"`: one value for each path, compared in turn.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive, Budget& budget) {
  if (!attribute.is_string())
    return folded(AttributeGetter(attribute)(item, budget), case_sensitive);
  std::vector<Value> keys;
  for (const auto path : split_text(attribute.as_string(), ",", -1, false))
    keys.push_back(folded(AttributeGetter(Value(std::string(path)))(item, budget), case_sensitive));
  return Value::list(std::move(keys));
}

Value sort(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(operand, runtime.budget()))
    keyed.emplace_back(sort_key(item, read.optional(2), read.flag(1, false), runtime.budget()),
                       item);
  return Value::list(sort_keyed(std::move(keyed), read.flag(0, false), runtime.budget()));
}

Value dictsort(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by =
      read.has(1) && read.required(1).is_string() ? read.required(1).as_string() : "key";
  if (by != "key" && by != "value")
    throw TemplateError("You can only sort by either \"key\" or \"value\"");
  if (!require_defined(operand).is_dict())
    throw TemplateError("'" + operand.type_name() + "' object has no attribute 'items'");
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : operand.as_dict().entries)
    keyed.emplace_back(folded(by == "key" ? key : value, read.flag(0, false)),
                       Value::tuple({key, value}));
  return Value::list(sort_keyed(std::move(keyed), read.flag(2, false), runtime.budget()));
}

Value unique(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("unique", arguments, {"case_sensitive", "attribute"});
  const AttributeGetter attribute(read.optional(1));
  std::vector<Value> seen, out;
  for (const Value& item : iterate(operand, runtime.budget())) {
    const Value key = folded(attribute(item, runtime.budget()), read.flag(0, false));
    if (!is_hashable(key)) throw TemplateError("unhashable type: '" + key.type_name() + "'");
    const bool known = std::any_of(seen.begin(), seen.end(), [&](const Value& other) {
      return equal(key, other, runtime.budget());
    });
    if (known) continue;
    seen.push_back(key);
    out.push_back(item);
  }
  return Value::generator(std::move(out));
}

template <bool kMaximum>
Value extreme(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("min or max", arguments, {"case_sensitive", "attribute"});
  const AttributeGetter attribute(read.optional(1));
  const auto items = iterate(operand, runtime.budget());
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  Value best, best_key;
  for (size_t i = 0; i < items.size(); ++i) {
    const Value& item = items[i];
    const Value key = folded(attribute(item, runtime.budget()), read.flag(0, false));
    if (i > 0 && compare(key, best_key, runtime.budget()) != (kMaximum ? 1 : -1)) continue;
    best = item;
    best_key = key;
  }
  return best;
}

Value groupby(Runtime& runtime, const Value& operand, CallArguments& arguments) {
  const ArgumentReader read("groupby", arguments, {"attribute", "default", "case_sensitive"});
  const AttributeGetter attribute(read.required(0), read.optional(1));
  const bool case_sensitive = read.flag(2, false);
  Budget& budget = runtime.budget();
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(operand, budget))
    keyed.emplace_back(folded(attribute(item, budget), case_sensitive), item);
  std::vector<Value> groups, members;
  const auto flush = [&] {
    if (!members.empty())
      groups.push_back(Value::tuple({attribute(members[0], budget), Value::list(members)}));
    members.clear();
  };
  Value group_key;
  for (Value& item : sort_keyed(std::move(keyed), false, budget)) {
    const Value key = folded(attribute(item, budget), case_sensitive);
    if (members.empty() || !equal(key, group_key, budget)) flush();
    group_key = key;
    members.push_back(std::move(item));
  }
  flush();
  return Value::list(std::move(groups));
}

constexpr Named<Filter> kFilters[] = {
    {"dictsort", dictsort},  {"groupby", groupby}, {"max", extreme<true>},
    {"min", extreme<false>}, {"sort", sort},       {"unique", unique},
};

}  // namespace

std::span<const Named<Filter>> order_filters() { return kFilters; }

}  // namespace lmoe::text::jinja
