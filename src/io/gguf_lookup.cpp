// Typed look-ups of GGUF metadata.
#include "base/error.h"
#include "io/gguf.h"

namespace lmoe::io {
namespace {

const GgufValue* find_value(const GgufFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? nullptr : &found->second;
}

[[noreturn]] void wrong_type(const GgufFile& file, const std::string& key, const char* expected) {
  fail(ErrorCode::kCorruptData, "[gguf] ", file.description(), ": key \"", key,
       "\" has another type, expected ", expected);
}

/// The value as T, null when the key is absent.
template <class T>
const T* find_as(const GgufFile& file, const std::string& key, const char* expected) {
  const GgufValue* value = find_value(file, key);
  if (value == nullptr) return nullptr;
  const T* typed = std::get_if<T>(value);
  if (typed == nullptr) wrong_type(file, key, expected);
  return typed;
}

void check_present(const GgufFile& file, const std::string& key) {
  LMOE_CHECK_DATA(file.has(key), "[gguf] ", file.description(), " lacks the key \"", key, "\"");
}

}  // namespace

std::string GgufFile::require_string(const std::string& key) const {
  check_present(*this, key);
  return get_string(key, "");
}

int64_t GgufFile::require_int(const std::string& key) const {
  check_present(*this, key);
  return get_int(key, 0);
}

std::string GgufFile::get_string(const std::string& key, const std::string& fallback) const {
  const auto* value = find_as<std::string>(*this, key, "text");
  return value != nullptr ? *value : fallback;
}

int64_t GgufFile::get_int(const std::string& key, int64_t fallback) const {
  const auto* value = find_as<int64_t>(*this, key, "an integer below 2^63");
  return value != nullptr ? *value : fallback;
}

double GgufFile::get_double(const std::string& key, double fallback) const {
  const GgufValue* value = find_value(*this, key);
  if (value != nullptr && std::holds_alternative<int64_t>(*value))
    return static_cast<double>(std::get<int64_t>(*value));
  const auto* number = find_as<double>(*this, key, "a number");
  return number != nullptr ? *number : fallback;
}

bool GgufFile::get_bool(const std::string& key, bool fallback) const {
  const auto* value = find_as<bool>(*this, key, "true or false");
  return value != nullptr ? *value : fallback;
}

std::vector<std::string> GgufFile::get_strings(const std::string& key) const {
  const auto* value = find_as<std::vector<std::string>>(*this, key, "a list of texts");
  return value != nullptr ? *value : std::vector<std::string>{};
}

std::vector<int64_t> GgufFile::get_ints(const std::string& key) const {
  const GgufValue* value = find_value(*this, key);
  if (value != nullptr && std::holds_alternative<int64_t>(*value))
    return {std::get<int64_t>(*value)};
  const auto* list = find_as<std::vector<int64_t>>(*this, key, "a list of integers");
  return list != nullptr ? *list : std::vector<int64_t>{};
}

std::vector<double> GgufFile::get_doubles(const std::string& key) const {
  const auto* value = find_as<std::vector<double>>(*this, key, "a list of fractional numbers");
  return value != nullptr ? *value : std::vector<double>{};
}

}  // namespace lmoe::io
