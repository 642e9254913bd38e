// Options listed once: a struct names its fields in `for_each_field`, and reading, writing, help
// and schema follow.
//
//   struct TrainOptions {
//     double learning_rate = 2e-4;
//     template <class Visitor>
//     void for_each_field(Visitor&& visit) {
//       visit(field("learning_rate", learning_rate, "peak learning rate")
//                 .range(0.0, 1.0).alias("lr"));
//     }
//   };
//   OptionReader(report).read(node, options);   // strict: unknown keys, wrong types, ranges
//   Json json = write_options(options);
//   for (const FieldInfo& info : describe_options<TrainOptions>()) …
//
// A field's type may be bool, an integer, double, std::string, an enum with a table (see below),
// std::optional, std::vector or std::map<std::string, …> of these, or a struct that has
// for_each_field itself. For an enum E, declare beside it
// `std::span<const EnumName<E>> enum_names(E);`. A struct may have
// `void check_options(const SourcePosition&) const`, called after its fields are read.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/config_node.h"
#include "base/error.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/option_fields.h"

namespace lmoe {

/// Remarks made while reading ("lora_rank" read as "lora_r"), to be shown once by the caller.
struct ReadReport {
  std::vector<std::string> notes;
};

namespace options_detail {

[[noreturn]] inline void wrong_value(const ConfigNode& node,
                                     const std::string& path,
                                     const std::string& expected) {
  const std::string given = node.is_scalar() ? "\"" + node.scalar + "\""
                            : node.is_map()  ? std::string("a mapping")
                            : node.is_list() ? std::string("a list")
                                             : std::string("nothing");
  fail(ErrorCode::kInvalidArgument, "[config] ", node.where.text(), ": ", path, ": given ", given,
       ", expected ", expected);
}

}  // namespace options_detail

template <class T>
Json write_options(const T& value);
template <options_detail::Struct T>
std::vector<FieldInfo> describe_options();

/// Reads a tree into structs, strictly.
class OptionReader {
 public:
  explicit OptionReader(ReadReport& report) : report_(report) {}

  /// `path` prefixes messages ("mixture"). Throws kInvalidArgument naming file, line and the
  /// nearest known key.
  template <options_detail::Struct T>
  void read(const ConfigNode& node, T& options, const std::string& path = "") {
    if (node.is_null()) return;
    if (!node.is_map())
      options_detail::wrong_value(node, path.empty() ? "the file" : path, "a mapping of keys");
    std::vector<std::string> known;
    std::vector<std::string> sections;
    std::vector<bool> used(node.entries.size(), false);
    options.for_each_field([&](auto&& item) {
      for (size_t i = 0; i <= item.info.aliases.size(); ++i) {
        known.push_back(i == 0 ? item.info.name : item.info.aliases[i - 1]);
        sections.push_back(item.info.section);
      }
      read_field(node, item, path, used);
    });
    for (size_t i = 0; i < used.size(); ++i) {
      if (!used[i]) refuse_unknown(node.entries[i], path, known, sections);
    }
    if constexpr (requires { options.check_options(node.where); })
      options.check_options(node.where);
  }

 private:
  static std::string join(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "." + name;
  }

  [[noreturn]] static void refuse_unknown(const ConfigEntry& entry,
                                          const std::string& path,
                                          const std::vector<std::string>& known,
                                          const std::vector<std::string>& sections) {
    const std::string nearest = nearest_name(entry.first, known);
    std::string hint;
    for (size_t i = 0; i < known.size() && !nearest.empty(); ++i) {
      if (known[i] != nearest) continue;
      hint = "; nearest is \"" + join(path, nearest) + "\"" +
             (sections[i].empty() ? "" : " (section " + sections[i] + ")");
      break;
    }
    fail(ErrorCode::kInvalidArgument, "[config] ", entry.second.key_where.text(),
         ": unknown key \"", join(path, entry.first), "\"", hint);
  }

  template <class F>
  void read_field(const ConfigNode& node,
                  F& item,
                  const std::string& path,
                  std::vector<bool>& used) {
    const ConfigNode* chosen = nullptr;
    std::string chosen_name;
    for (size_t n = 0; n <= item.info.aliases.size(); ++n) {
      const std::string& name = n == 0 ? item.info.name : item.info.aliases[n - 1];
      for (size_t i = 0; i < node.entries.size(); ++i) {
        if (node.entries[i].first != name) continue;
        used[i] = true;
        const ConfigNode& candidate = node.entries[i].second;
        if (n > 0)
          report_.notes.push_back("\"" + join(path, name) + "\" read as \"" +
                                  join(path, item.info.name) + "\"");
        if (chosen != nullptr && !same_value(*chosen, candidate)) {
          fail(ErrorCode::kInvalidArgument, "[config] ", candidate.where.text(), ": \"", name,
               "\" and \"", chosen_name, "\" (", chosen->where.text(),
               ") are the same key with different values");
        }
        if (chosen == nullptr) {
          chosen = &candidate;
          chosen_name = name;
        }
      }
    }
    if (chosen != nullptr) read_value(*chosen, item.value, join(path, item.info.name), item.info);
  }

  static bool same_value(const ConfigNode& a, const ConfigNode& b) {
    if (a.kind != b.kind || a.scalar != b.scalar || a.items.size() != b.items.size() ||
        a.entries.size() != b.entries.size())
      return false;
    for (size_t i = 0; i < a.items.size(); ++i)
      if (!same_value(a.items[i], b.items[i])) return false;
    for (size_t i = 0; i < a.entries.size(); ++i)
      if (a.entries[i].first != b.entries[i].first ||
          !same_value(a.entries[i].second, b.entries[i].second))
        return false;
    return true;
  }

  template <class T>
  void read_value(const ConfigNode& node,
                  T& value,
                  const std::string& path,
                  const FieldInfo& info) {
    using namespace options_detail;
    if constexpr (IsOptional<T>::value) {
      if (node.is_null()) {
        value.reset();
      } else {
        typename T::value_type inner{};
        read_value(node, inner, path, info);
        value = std::move(inner);
      }
    } else if constexpr (IsVector<T>::value) {
      read_list(node, value, path, info);
    } else if constexpr (IsMap<T>::value) {
      if (!node.is_map()) wrong_value(node, path, "a mapping");
      value.clear();
      for (const auto& [key, child] : node.entries)
        read_value(child, value[key], join(path, key), info);
    } else if constexpr (Struct<T>) {
      read(node, value, path);
    } else {
      read_scalar(node, value, path, info);
    }
  }

  template <class T>
  void read_list(const ConfigNode& node,
                 std::vector<T>& value,
                 const std::string& path,
                 const FieldInfo& info) {
    std::vector<T> read_items;
    if (node.is_list()) {
      for (size_t i = 0; i < node.items.size(); ++i) {
        T item{};
        read_value(node.items[i], item, path + "." + std::to_string(i), info);
        read_items.push_back(std::move(item));
      }
    } else if (!node.is_null()) {  // one value stands for a list of one
      if (node.is_map() && !options_detail::Struct<T>)
        options_detail::wrong_value(node, path, "a list");
      T item{};
      read_value(node, item, path, info);
      read_items.push_back(std::move(item));
    }
    value = std::move(read_items);
  }

  template <class T>
  static void read_scalar(const ConfigNode& node,
                          T& value,
                          const std::string& path,
                          const FieldInfo& info) {
    using namespace options_detail;
    if (!node.is_scalar()) {
      wrong_value(node, path,
                  std::is_same_v<T, std::string> ? "text"
                  : std::is_same_v<T, bool>      ? "true or false"
                                                 : "one value");
    }
    const std::string& text = node.scalar;
    if constexpr (std::is_same_v<T, std::string>) {
      value = text;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (node.quoted || (text != "true" && text != "false"))
        wrong_value(node, path, "true or false");
      value = text == "true";
    } else if constexpr (Enum<T>) {
      std::string names;
      for (const auto& entry : enum_names(T{})) {
        if (text == entry.name) {
          value = entry.value;
          return;
        }
        names += (names.empty() ? "" : ", ") + std::string(entry.name);
      }
      wrong_value(node, path, "one of " + names);
    } else {
      T number{};
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      const bool whole = error == std::errc{} && end == text.data() + text.size() && !node.quoted;
      if (!whole) wrong_value(node, path, std::is_integral_v<T> ? "a whole number" : "a number");
      const double as_double = static_cast<double>(number);
      if (!std::isfinite(as_double) || as_double < info.minimum || as_double > info.maximum) {
        wrong_value(node, path,
                    "a value from " + bound_text(info.minimum) + " to " + bound_text(info.maximum));
      }
      value = number;
    }
  }

  ReadReport& report_;
};

/// JSON of a value: structs become objects with every field, in the order listed.
template <class T>
Json write_options(const T& value) {
  using namespace options_detail;
  if constexpr (IsOptional<T>::value) {
    return value ? write_options(*value) : Json(nullptr);
  } else if constexpr (IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(write_options(item));
    return list;
  } else if constexpr (IsMap<T>::value) {
    Json map = Json::object();
    for (const auto& [key, item] : value) map[key] = write_options(item);
    return map;
  } else if constexpr (Struct<T>) {
    Json object = Json::object();
    // for_each_field is not const so that one list serves reading and writing; nothing is changed
    // here.
    const_cast<T&>(value).for_each_field(
        [&](auto&& item) { object[item.info.name] = write_options(item.value); });
    return object;
  } else if constexpr (Enum<T>) {
    return enum_name(value);
  } else {
    return value;
  }
}

namespace options_detail {

template <class T>
std::string type_name() {
  if constexpr (IsOptional<T>::value) {
    return type_name<typename T::value_type>() + ", optional";
  } else if constexpr (IsVector<T>::value) {
    return "list of " + type_name<typename T::value_type>();
  } else if constexpr (IsMap<T>::value) {
    return "mapping to " + type_name<typename T::mapped_type>();
  } else if constexpr (Struct<T>) {
    return "section";
  } else if constexpr (Enum<T>) {
    return "choice";
  } else if constexpr (std::is_same_v<T, bool>) {
    return "boolean";
  } else if constexpr (std::is_integral_v<T>) {
    return "integer";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "number";
  } else {
    return "text";
  }
}

/// Adds what a type itself knows: the names of an enum, the fields of a nested struct.
template <class T>
void describe_type(FieldInfo& info) {
  if constexpr (IsOptional<T>::value || IsVector<T>::value) {
    describe_type<typename T::value_type>(info);
  } else if constexpr (IsMap<T>::value) {
    describe_type<typename T::mapped_type>(info);
  } else if constexpr (Struct<T>) {
    info.fields = describe_options<T>();
  } else if constexpr (Enum<T>) {
    for (const auto& entry : enum_names(T{})) info.choices.push_back(entry.name);
  }
}

}  // namespace options_detail

/// Every field of a struct with its type, default, range, aliases and help.
template <options_detail::Struct T>
std::vector<FieldInfo> describe_options() {
  std::vector<FieldInfo> fields;
  T defaults{};
  defaults.for_each_field([&](auto&& item) {
    using Value = std::remove_cvref_t<decltype(item.value)>;
    FieldInfo info = item.info;
    info.type = options_detail::type_name<Value>();
    info.default_value = write_options(item.value);
    options_detail::describe_type<Value>(info);
    fields.push_back(std::move(info));
  });
  return fields;
}

}  // namespace lmoe
