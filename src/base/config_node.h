// A configuration as a tree that remembers where each value was written.
//
// Files are YAML limited to mappings, lists and scalars (JSON is accepted, being YAML): no tags,
// anchors, aliases, merge keys or several documents; duplicate keys are refused.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace lmoe {

/// File and 1-based line; "command line" and 0 for overrides.
struct SourcePosition {
  std::string file;
  int line = 0;
  /// "recipe.yaml:12" or "command line".
  std::string text() const;
};

struct ConfigEntry;

class ConfigNode {
 public:
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;   ///< text of a scalar, unquoted
  bool quoted = false;  ///< a quoted scalar is a string, whatever it looks like
  std::vector<ConfigNode> items;
  std::vector<ConfigEntry> entries;  ///< of a map, in the order written
  SourcePosition where;              ///< of the value
  SourcePosition key_where;          ///< of the key, for entries of a map

  bool is_null() const { return kind == Kind::kNull; }
  bool is_map() const { return kind == Kind::kMap; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_scalar() const { return kind == Kind::kScalar; }

  /// The entry called `key`, or null.
  const ConfigNode* find(std::string_view key) const;
  ConfigNode* find(std::string_view key);
  /// Adds or replaces.
  ConfigNode& set(std::string_view key, ConfigNode value);
  void erase(std::string_view key);
};

/// Not a std::pair: that may not be named while ConfigNode is incomplete.
struct ConfigEntry {
  ConfigEntry(std::string key, ConfigNode value)
      : first(std::move(key)), second(std::move(value)) {}

  std::string first;
  ConfigNode second;
};

/// Throws kInvalidArgument with file and line.
ConfigNode parse_config(std::string_view text, const std::string& file_name);
/// Throws kNotFound, kInvalidArgument.
ConfigNode read_config_file(const std::filesystem::path& path);
ConfigNode config_from_json(const Json& json, const std::string& file_name);
/// YAML text of a JSON value, block style, keys in order; what `parse_config` reads back to the
/// same tree.
std::string yaml_from_json(const Json& json);

/// `set_override(root, "mixture.losses.0.coef=0.001")`: the path is made where it is missing, list
/// items by number (one past the end appends), the value is parsed as YAML. Hyphens in the path's
/// keys are read as underscores. Throws kInvalidArgument, also for a path overridden before.
void set_override(ConfigNode& root, std::string_view assignment);

}  // namespace lmoe
