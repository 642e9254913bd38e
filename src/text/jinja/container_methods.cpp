#include "text/jinja/methods.h"

namespace lmoe::text::jinja {
namespace {

Value view(std::vector<Value> items) {
  return Value::sequence(SequenceKind::kView, std::move(items));
}

Value dict_get(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("get", arguments, {"", ""});
  if (!is_hashable(read.required(0)))
    throw TemplateError("unhashable type: '" + read.required(0).type_name() + "'");
  const Value* found = find(self.as_dict(), read.required(0), runtime.budget());
  return found != nullptr ? *found : read.optional(1);
}

Value dict_keys(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("keys", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_dict().entries) items.push_back(key);
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return view(std::move(items));
}

Value dict_values(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("values", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_dict().entries) items.push_back(value);
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return view(std::move(items));
}

Value dict_items(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("items", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_dict().entries)
    items.push_back(Value::tuple({key, value}));
  runtime.budget().spend(static_cast<int64_t>(items.size()));
  return view(std::move(items));
}

Value copy(Runtime&, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("copy", arguments, {});
  return self;
}

Value list_index(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("index", arguments, {""});
  const auto& items = self.as_sequence().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (equal(items[i], read.required(0), runtime.budget())) return Value(static_cast<int64_t>(i));
  throw TemplateError("the value is not in the list");
}

Value list_count(Runtime& runtime, const Value& self, CallArguments& arguments) {
  const ArgumentReader read("count", arguments, {""});
  int64_t count = 0;
  for (const Value& item : self.as_sequence().items)
    count += equal(item, read.required(0), runtime.budget()) ? 1 : 0;
  return Value(count);
}

}  // namespace

Method find_method(const Value& value, std::string_view name) {
  if (value.is_string()) return find_string_method(name);
  if (value.is_dict()) {
    if (name == "get") return dict_get;
    if (name == "keys") return dict_keys;
    if (name == "values") return dict_values;
    if (name == "items") return dict_items;
    if (name == "copy") return copy;
  }
  if (value.is_list_or_tuple()) {
    if (name == "index") return list_index;
    if (name == "count") return list_count;
    if (name == "copy" && value.is_sequence(SequenceKind::kList)) return copy;
  }
  return nullptr;
}

}  // namespace lmoe::text::jinja
