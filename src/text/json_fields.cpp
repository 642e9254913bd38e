#include "text/json_fields.h"

#include "base/error.h"

namespace lmoe::text {

JsonFields::JsonFields(const Json& object, std::string path)
    : object_(object), path_(std::move(path)) {
  LMOE_CHECK_DATA(object.is_object(), "[tokenizer] ", path_, " must be an object: given ",
                  object.type_name());
}

std::string JsonFields::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : concat(path_, ".", key);
}

const Json* JsonFields::find(std::string_view key) const {
  const auto it = object_.find(std::string(key));
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

const Json& JsonFields::at(std::string_view key) const {
  const Json* value = find(key);
  LMOE_CHECK_DATA(value != nullptr, "[tokenizer] ", path_of(key), " is missing");
  return *value;
}

const Json& JsonFields::array_at(std::string_view key) const {
  const Json& value = at(key);
  LMOE_CHECK_DATA(value.is_array(), "[tokenizer] ", path_of(key), " must be an array: given ",
                  value.type_name());
  return value;
}

std::string JsonFields::string_at(std::string_view key) const {
  const Json& value = at(key);
  LMOE_CHECK_DATA(value.is_string(), "[tokenizer] ", path_of(key), " must be a string: given ",
                  value.type_name());
  return value.get<std::string>();
}

int64_t JsonFields::integer_at(std::string_view key) const {
  const Json& value = at(key);
  LMOE_CHECK_DATA(value.is_number_integer(), "[tokenizer] ", path_of(key),
                  " must be an integer: given ", value.type_name());
  LMOE_CHECK_DATA(!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX, "[tokenizer] ",
                  path_of(key), " is out of range: given ", value.get<uint64_t>());
  return value.get<int64_t>();
}

std::optional<std::string> JsonFields::optional_string(std::string_view key) const {
  if (find(key) == nullptr) return std::nullopt;
  return string_at(key);
}

std::optional<bool> JsonFields::optional_bool(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  LMOE_CHECK_DATA(value->is_boolean(), "[tokenizer] ", path_of(key),
                  " must be true or false: given ", value->type_name());
  return value->get<bool>();
}

bool JsonFields::bool_or(std::string_view key, bool fallback) const {
  return optional_bool(key).value_or(fallback);
}

}  // namespace lmoe::text
