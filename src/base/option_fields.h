// What an option is: its name, help, range and aliases beside a reference to its value (see
// options.h).
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lmoe {

template <class E>
struct EnumName {
  const char* name;
  E value;
};

/// What is known of a field without its value; the row of a schema.
struct FieldInfo {
  std::string name;
  std::string help;
  std::string type;  ///< "integer", "number", "list of text", …
  Json default_value;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  std::string section;  ///< for messages: "optimizer", "data", …
  std::vector<std::string> aliases;
  std::vector<std::string> choices;  ///< names of an enum
  std::vector<FieldInfo> fields;     ///< of a nested struct, or of a list's items
};

/// A bound for people: every digit of a whole number, of a fraction as many as tell it from its
/// neighbours; "any size" without a bound.
std::string bound_text(double bound);

template <class T>
struct Field {
  FieldInfo info;
  T& value;

  Field& range(double minimum, double maximum = std::numeric_limits<double>::infinity()) {
    info.minimum = minimum;
    info.maximum = maximum;
    return *this;
  }
  Field& section(std::string name) {
    info.section = std::move(name);
    return *this;
  }
  Field& alias(std::string name) {
    info.aliases.push_back(std::move(name));
    return *this;
  }
};

template <class T>
Field<T> field(std::string name, T& value, std::string help) {
  FieldInfo info;
  info.name = std::move(name);
  info.help = std::move(help);
  return Field<T>{std::move(info), value};
}

namespace options_detail {

struct AnyVisitor {
  template <class F>
  void operator()(F&&) const {}
};

template <class T>
concept Struct = requires(T& t) {
  t.for_each_field(AnyVisitor{});
};

template <class T>
concept Enum = std::is_enum_v<T>;

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

}  // namespace options_detail

template <class T>
std::string enum_name(T value) {
  for (const auto& entry : enum_names(T{})) {
    if (entry.value == value) return entry.name;
  }
  return "?";
}

}  // namespace lmoe
