#include "arch/config_reader.h"
#include "base/error.h"

namespace lmoe::arch {

HuggingFaceConfig::HuggingFaceConfig(Json json, std::string file)
    : json_(std::move(json)), file_(std::move(file)) {
  LMOE_CHECK_DATA(json_.is_object(), "[load_base] ", file_, ": expected a JSON object");
}

std::string HuggingFaceConfig::where(const std::string& key) const {
  return "[load_base] " + file_ + ": " + prefix_ + key;
}

const Json* HuggingFaceConfig::find(const std::string& key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

const Json& HuggingFaceConfig::require(const std::string& key) const {
  const Json* value = find(key);
  LMOE_CHECK_DATA(value != nullptr, where(key), " is missing");
  return *value;
}

int64_t HuggingFaceConfig::integer(const std::string& key,
                                   IntegerRange range,
                                   std::optional<int64_t> fallback) const {
  if (fallback && !has(key)) return *fallback;
  const Json& value = require(key);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
  LMOE_CHECK_DATA(fits, where(key), ": given ", value.dump(), ", expected a whole number from ",
                  range.minimum, " to ", range.maximum);
  return check_range(value.get<int64_t>(), range, where(key));
}

double HuggingFaceConfig::number(const std::string& key,
                                 double minimum,
                                 double maximum,
                                 std::optional<double> fallback) const {
  if (fallback && !has(key)) return *fallback;
  const Json& value = require(key);
  LMOE_CHECK_DATA(value.is_number(), where(key), ": given ", value.dump(), ", expected a number");
  return check_range(value.get<double>(), minimum, maximum, where(key));
}

bool HuggingFaceConfig::boolean(const std::string& key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  LMOE_CHECK_DATA(value->is_boolean(), where(key), ": given ", value->dump(),
                  ", expected true or false");
  return value->get<bool>();
}

std::string HuggingFaceConfig::text(const std::string& key,
                                    std::optional<std::string> fallback) const {
  if (fallback && !has(key)) return *fallback;
  const Json& value = require(key);
  LMOE_CHECK_DATA(value.is_string(), where(key), ": given ", value.dump(), ", expected text");
  return value.get<std::string>();
}

std::vector<std::string> HuggingFaceConfig::texts(const std::string& key) const {
  std::vector<std::string> texts;
  const Json* list = find(key);
  if (list == nullptr) return texts;
  LMOE_CHECK_DATA(list->is_array(), where(key), ": expected a list of texts");
  for (const Json& item : *list) {
    LMOE_CHECK_DATA(item.is_string(), where(key), ": given ", item.dump(), ", expected text");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::vector<int64_t> HuggingFaceConfig::token_ids(const std::string& key,
                                                  int64_t vocab_size) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  std::vector<int64_t> ids;
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    const bool is_id =
        item.is_number_integer() && item.get<int64_t>() >= 0 && item.get<int64_t>() < vocab_size;
    LMOE_CHECK_DATA(is_id, where(key), ": given ", item.dump(), ", expected token ids from 0 to ",
                    vocab_size - 1);
    ids.push_back(item.get<int64_t>());
  }
  return ids;
}

HuggingFaceConfig HuggingFaceConfig::section(const std::string& key) const {
  const Json* value = find(key);
  LMOE_CHECK_DATA(value == nullptr || value->is_object(), where(key), ": expected an object");
  HuggingFaceConfig section(value == nullptr ? Json::object() : *value, file_);
  section.prefix_ = prefix_ + key + ".";
  return section;
}

}  // namespace lmoe::arch
