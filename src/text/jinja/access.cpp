// Attributes, items and slices of plain data. Nothing else of a value can be reached.
#include <algorithm>

#include "text/jinja/library.h"
#include "text/jinja/methods.h"
#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

Value missing(const Value& value, std::string_view name) {
  return Value::undefined("'" + value.type_name() + " object' has no attribute '" +
                          std::string(name) + "'");
}

Value loop_attribute(const Value& value, std::string_view name) {
  const auto& loop = value.get<std::shared_ptr<const Loop>>();
  const auto& items = loop->items->items;
  const auto index = static_cast<int64_t>(loop->index);
  const auto size = static_cast<int64_t>(items.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(size - index);
  if (name == "revindex0") return Value(size - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index == size - 1);
  if (name == "length") return Value(size);
  if (name == "depth") return Value(int64_t{1});  // more only in recursive loops
  if (name == "depth0") return Value(int64_t{0});
  if (name == "previtem")
    return index > 0 ? items[loop->index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < size ? items[loop->index + 1] : Value::undefined("there is no next item");
  if (name == "cycle") {
    return Value::callable("cycle", [index](Runtime&, CallArguments& arguments) {
      if (arguments.positional.empty()) throw TemplateError("no items for cycling given");
      return arguments.positional[static_cast<size_t>(index) % arguments.positional.size()];
    });
  }
  return missing(value, name);
}

/// What Python's getattr would give of plain data; undefined otherwise.
Value attribute_only(const Value& value, std::string_view name) {
  if (value.is<std::shared_ptr<const Loop>>()) return loop_attribute(value, name);
  if (value.is<std::shared_ptr<Namespace>>()) {
    for (const auto& [key, item] : value.get<std::shared_ptr<Namespace>>()->attributes)
      if (key == name) return item;
    return missing(value, name);
  }
  if (const Method method = find_method(value, name)) {
    return Value::callable(
        std::string(name),
        [value, method](Runtime& runtime, CallArguments& arguments) {
          return method(runtime, value, arguments);
        },
        value.depth());
  }
  return missing(value, name);
}

struct SliceRange {
  int64_t start, stop, step;
};

int64_t slice_bound(
    const Value& bound, int64_t otherwise, int64_t low, int64_t high, int64_t size) {
  if (bound.is_none()) return otherwise;
  if (!bound.is_integral())
    throw TemplateError("slice indices must be integers or None, not '" + bound.type_name() + "'");
  int64_t index = bound.as_integer();
  if (index < 0) index += size;
  return std::clamp(index, low, high);
}

SliceRange slice_range(const Value& start, const Value& stop, const Value& step, int64_t size) {
  SliceRange range{0, 0, 1};
  if (!step.is_none()) {
    if (!step.is_integral()) throw TemplateError("slice indices must be integers or None");
    range.step = std::max<int64_t>(step.as_integer(), -INT64_MAX);
  }
  if (range.step == 0) throw TemplateError("slice step cannot be zero");
  const bool forward = range.step > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? size : size - 1;
  range.start = slice_bound(start, forward ? 0 : size - 1, low, high, size);
  range.stop = slice_bound(stop, forward ? size : -1, low, high, size);
  return range;
}

template <class Take>
void walk(const SliceRange& range, Take take) {
  int64_t i = range.start;
  while (range.step > 0 ? i < range.stop : i > range.stop) {
    take(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, range.step, &i)) break;
  }
}

Value indexed(const Value& value, const Value& key, Budget& budget) {
  int64_t index = key.as_integer();
  if (value.is_string()) {
    budget.spend_bytes(value.as_string().size());
    const auto letters = characters(value.as_string());
    const auto size = static_cast<int64_t>(letters.size());
    if (index < 0) index += size;
    if (index >= 0 && index < size) return Value(std::string(letters[static_cast<size_t>(index)]));
  } else {
    const auto& items = value.as_sequence().items;
    const auto size = static_cast<int64_t>(items.size());
    if (index < 0) index += size;
    if (index >= 0 && index < size) return items[static_cast<size_t>(index)];
  }
  return Value::undefined(value.type_name() + " object has no element " +
                          std::to_string(key.as_integer()));
}

bool has_index(const Value& value) {
  return value.is_string() ||
         (value.is_sequence() && value.as_sequence().kind <= SequenceKind::kRange);
}

}  // namespace

Value get_attribute(const Value& value, std::string_view name, Budget& budget) {
  require_defined(value);
  Value attribute = attribute_only(value, name);
  if (!attribute.is_undefined() || !value.is_dict()) return attribute;
  const Value* entry = find_text(value.as_dict(), name, budget);
  return entry != nullptr ? *entry : attribute;
}

Value get_item(const Value& value, const Value& key, Budget& budget) {
  require_defined(value);
  if (value.is_dict() && is_hashable(key)) {
    if (const Value* entry = find(value.as_dict(), key, budget)) return *entry;
  }
  if (key.is_integral() && has_index(value)) return indexed(value, key, budget);
  if (key.is_string()) return attribute_only(value, key.as_string());
  return Value::undefined("'" + value.type_name() + " object' has no such element");
}

Value get_slice(
    const Value& value, const Value& start, const Value& stop, const Value& step, Budget& budget) {
  require_defined(value);
  if (!has_index(value)) throw TemplateError("'" + value.type_name() + "' object cannot be sliced");
  if (value.is_string()) {
    budget.spend_bytes(value.as_string().size());
    const auto letters = characters(value.as_string());
    std::string out;
    walk(slice_range(start, stop, step, static_cast<int64_t>(letters.size())),
         [&](size_t i) { out += letters[i]; });
    return Value(std::move(out));
  }
  const Sequence& sequence = value.as_sequence();
  std::vector<Value> items;
  walk(slice_range(start, stop, step, static_cast<int64_t>(sequence.items.size())),
       [&](size_t i) { items.push_back(sequence.items[i]); });
  budget.spend(static_cast<int64_t>(items.size()));
  return Value::sequence(sequence.kind, std::move(items));
}

Value attribute_without_entries(const Value& value, std::string_view name) {
  require_defined(value);
  return attribute_only(value, name);
}

}  // namespace lmoe::text::jinja
