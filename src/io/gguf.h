// GGUF version 3 (and 2), little-endian, memory-mapped. Every count is bounded by the bytes that
// remain in the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "io/weight_source.h"

namespace lmoe::io {

/// A metadata value: numbers are widened (uint64_t only above 2^63), arrays are of one kind.
using GgufValue = std::variant<bool,
                               int64_t,
                               uint64_t,
                               double,
                               std::string,
                               std::vector<bool>,
                               std::vector<int64_t>,
                               std::vector<double>,
                               std::vector<std::string>>;

class GgufFile : public WeightSource {
 public:
  /// Throws kNotFound, kCorruptData, kUnsupported (type ids we do not dequantise are named).
  static std::unique_ptr<GgufFile> open(const std::filesystem::path& path);

  virtual const std::map<std::string, GgufValue>& metadata() const = 0;

  /// Typed look-ups. `require_*` throw kCorruptData naming key and file when missing; all throw on
  /// a wrong type. Lists are empty when missing. `get_double` takes integers too; `get_ints` takes
  /// one integer for a list of one.
  std::string require_string(const std::string& key) const;
  int64_t require_int(const std::string& key) const;
  std::string get_string(const std::string& key, const std::string& fallback) const;
  int64_t get_int(const std::string& key, int64_t fallback) const;
  double get_double(const std::string& key, double fallback) const;
  bool get_bool(const std::string& key, bool fallback) const;
  std::vector<std::string> get_strings(const std::string& key) const;
  std::vector<int64_t> get_ints(const std::string& key) const;
  std::vector<double> get_doubles(const std::string& key) const;
  bool has(const std::string& key) const { return metadata().count(key) != 0; }
};

}  // namespace lmoe::io
