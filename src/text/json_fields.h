// Typed access to the fields of a JSON object from a stranger's file: wrong types and missing
// fields are kCorruptData and name the field's path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace lmoe::text {

class JsonFields {
 public:
  /// `path` is how messages name the object ("pre_tokenizer[1]"). Throws when `object` is not one.
  JsonFields(const Json& object, std::string path);

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const;

  /// Null when the field is absent or null.
  const Json* find(std::string_view key) const;
  const Json& at(std::string_view key) const;
  const Json& array_at(std::string_view key) const;

  std::string string_at(std::string_view key) const;
  int64_t integer_at(std::string_view key) const;
  std::optional<std::string> optional_string(std::string_view key) const;
  std::optional<bool> optional_bool(std::string_view key) const;
  bool bool_or(std::string_view key, bool fallback) const;

 private:
  const Json& object_;
  std::string path_;
};

}  // namespace lmoe::text
