#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/unicode.h"

namespace lmoe::text::jinja {
namespace {

int checked_depth(int depth) {
  if (depth > kMaxDataDepth)
    throw TemplateError("data is nested more than " + std::to_string(kMaxDataDepth) + " deep");
  return depth;
}

Value from_json_at(const Json& json, int depth, Budget& budget) {
  budget.spend(1);
  checked_depth(depth);
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      return number <= INT64_MAX ? Value(static_cast<int64_t>(number))
                                 : Value(static_cast<double>(number));
    }
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(json.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(from_json_at(item, depth + 1, budget));
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      entries.reserve(json.size());
      for (const auto& [key, item] : json.items())
        entries.emplace_back(Value(key), from_json_at(item, depth + 1, budget));
      return Value::dict(std::move(entries));
    }
    default:
      return Value(None{});
  }
}

}  // namespace

Value Value::undefined(std::string message) {
  Value value;
  value.storage_ = Undefined{std::make_shared<const std::string>(std::move(message))};
  return value;
}

Value Value::sequence(SequenceKind kind, std::vector<Value> items) {
  auto payload = std::make_shared<Sequence>();
  payload->kind = kind;
  for (const Value& item : items) payload->depth = std::max(payload->depth, item.depth() + 1);
  checked_depth(payload->depth);
  payload->items = std::move(items);
  Value value;
  value.storage_ = std::shared_ptr<const Sequence>(std::move(payload));
  return value;
}

Value Value::dict(std::vector<std::pair<Value, Value>> entries) {
  auto payload = std::make_shared<Dict>();
  for (const auto& [key, item] : entries)
    payload->depth = std::max({payload->depth, key.depth() + 1, item.depth() + 1});
  checked_depth(payload->depth);
  payload->entries = std::move(entries);
  Value value;
  value.storage_ = std::shared_ptr<const Dict>(std::move(payload));
  return value;
}

Value Value::callable(std::string name,
                      std::function<Value(Runtime&, CallArguments&)> function,
                      int depth) {
  Value value;
  value.storage_ = std::make_shared<const Callable>(
      Callable{std::move(name), std::move(function), checked_depth(depth + 1)});
  return value;
}

Value Value::from_json(const Json& json, Budget& budget) { return from_json_at(json, 0, budget); }

int Value::depth() const {
  if (is_sequence()) return as_sequence().depth;
  if (is_dict()) return as_dict().depth;
  if (is<std::shared_ptr<const Loop>>())
    return get<std::shared_ptr<const Loop>>()->items->depth + 1;
  if (is<std::shared_ptr<const Callable>>()) return get<std::shared_ptr<const Callable>>()->depth;
  return 0;
}

std::string Value::type_name() const {
  static constexpr const char* kNames[] = {"Undefined", "NoneType",    "bool",    "int",
                                           "float",     "str",         "list",    "dict",
                                           "Namespace", "LoopContext", "function"};
  if (is_sequence()) {
    static constexpr const char* kSequences[] = {"list", "tuple", "range", "dict view",
                                                 "generator"};
    return kSequences[static_cast<int>(as_sequence().kind)];
  }
  return kNames[storage_.index()];
}

const Value& require_defined(const Value& value) {
  if (value.is_undefined()) {
    const auto& message = value.get<Undefined>().message;
    throw TemplateError(message ? *message : "a value is undefined");
  }
  return value;
}

bool truthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.as_double() != 0.0;
  if (value.is_string()) return !value.as_string().empty();
  if (value.is_sequence())
    return value.as_sequence().kind == SequenceKind::kGenerator ||
           !value.as_sequence().items.empty();
  if (value.is_dict()) return !value.as_dict().entries.empty();
  return true;
}

Items iterate(const Value& value, Budget& budget) {
  if (value.is_sequence()) {
    const auto& sequence = value.get<std::shared_ptr<const Sequence>>();
    if (sequence->kind != SequenceKind::kGenerator) return Items(sequence);
    if (sequence->consumed) return Items(std::make_shared<Sequence>());
    sequence->consumed = true;
    return Items(sequence);
  }
  std::vector<Value> items;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict().entries) items.push_back(key);
  } else if (value.is_string()) {
    for (const std::string_view character : characters(value.as_string()))
      items.emplace_back(std::string(character));
  } else if (!value.is_undefined()) {
    throw TemplateError("'" + value.type_name() + "' object is not iterable");
  }
  budget.spend(static_cast<int64_t>(items.size()));
  return Items(Value::list(std::move(items)).get<std::shared_ptr<const Sequence>>());
}

int64_t length(const Value& value, Budget& budget) {
  if (value.is_undefined()) return 0;
  if (value.is_string()) {
    budget.spend_bytes(value.as_string().size());
    return count_characters(value.as_string());
  }
  if (value.is_dict()) return static_cast<int64_t>(value.as_dict().entries.size());
  if (value.is_sequence() && value.as_sequence().kind != SequenceKind::kGenerator)
    return static_cast<int64_t>(value.as_sequence().items.size());
  if (value.is<std::shared_ptr<const Loop>>())
    return static_cast<int64_t>(value.get<std::shared_ptr<const Loop>>()->items->items.size());
  throw TemplateError("object of type '" + value.type_name() + "' has no len()");
}

bool is_hashable(const Value& value) {
  if (value.is_dict() || value.is_sequence(SequenceKind::kList) ||
      value.is_sequence(SequenceKind::kView))
    return false;
  if (value.is_sequence(SequenceKind::kTuple)) {
    const auto& items = value.as_sequence().items;
    return std::all_of(items.begin(), items.end(), is_hashable);
  }
  return true;
}

const Value* find(const Dict& dict, const Value& key, Budget& budget) {
  if (key.is_string()) return find_text(dict, key.as_string(), budget);
  budget.spend(static_cast<int64_t>(dict.entries.size() / 16));
  for (const auto& [candidate, value] : dict.entries)
    if (equal(candidate, key, budget)) return &value;
  return nullptr;
}

const Value* find_text(const Dict& dict, std::string_view key, Budget& budget) {
  budget.spend(static_cast<int64_t>(dict.entries.size() / 16));
  for (const auto& [candidate, value] : dict.entries)
    if (candidate.is_string() && candidate.as_string() == key) return &value;
  return nullptr;
}

void insert(std::vector<std::pair<Value, Value>>& entries, Value key, Value value, Budget& budget) {
  if (!is_hashable(key)) throw TemplateError("unhashable type: '" + key.type_name() + "'");
  budget.spend(1 + static_cast<int64_t>(entries.size() / 16));
  for (auto& [candidate, old] : entries) {
    if (equal(candidate, key, budget)) {
      old = std::move(value);
      return;
    }
  }
  entries.emplace_back(std::move(key), std::move(value));
}

}  // namespace lmoe::text::jinja
