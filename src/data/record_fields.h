// Reading the fields of one record, with errors that name file, line and field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace lmoe::data {

class RecordFields {
 public:
  RecordFields(const Json& object, const std::string& file, int64_t line)
      : object_(object), where_(concat("[data] ", file, ":", line, ": ")) {}

  /// Present and not null.
  bool has(std::string_view key) const;
  /// Throws kCorruptData when it is missing, null or no text.
  const std::string& text(std::string_view key) const;
  /// Empty when missing or null.
  std::string optional_text(std::string_view key) const;
  /// Throws kCorruptData when it is missing, null, no list or empty.
  const Json& list(std::string_view key) const;
  /// Null, or a list; text is parsed as JSON, as sharegpt files have it.
  Json tools() const;
  const Json& raw(std::string_view key) const { return object_.at(std::string(key)); }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorCode::kCorruptData, where_, parts...);
  }

 private:
  const Json* find(std::string_view key) const;

  const Json& object_;
  std::string where_;
};

}  // namespace lmoe::data
