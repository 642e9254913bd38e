#include "data/record_fields.h"

namespace lmoe::data {

const Json* RecordFields::find(std::string_view key) const {
  const auto found = object_.find(std::string(key));
  return found != object_.end() && !found->is_null() ? &*found : nullptr;
}

bool RecordFields::has(std::string_view key) const { return find(key) != nullptr; }

const std::string& RecordFields::text(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) refuse("the field \"", key, "\" is missing or null, expected text");
  if (!value->is_string())
    refuse("the field \"", key, "\": given ", value->type_name(), ", expected text");
  return value->get_ref<const std::string&>();
}

std::string RecordFields::optional_text(std::string_view key) const {
  return has(key) ? text(key) : std::string();
}

const Json& RecordFields::list(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) refuse("the field \"", key, "\" is missing or null, expected a list");
  if (!value->is_array() || value->empty())
    refuse("the field \"", key, "\": given ", value->empty() ? "an empty " : "a ",
           value->type_name(), ", expected a list with at least one element");
  return *value;
}

Json RecordFields::tools() const {
  const Json* value = find("tools");
  if (value == nullptr) return nullptr;
  Json tools = *value;
  if (value->is_string()) {
    const auto& source = value->get_ref<const std::string&>();
    if (source.empty()) return nullptr;
    tools = Json::parse(source, nullptr, /*allow_exceptions=*/false);
  }
  if (!tools.is_array()) refuse("the field \"tools\": expected a list, or a list as JSON text");
  return tools.empty() ? Json(nullptr) : tools;
}

}  // namespace lmoe::data
