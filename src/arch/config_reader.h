// Typed, range-checked look-ups in what a model file says of itself.
//
// `HuggingFaceConfig` reads config.json, `GgufConfig` the metadata of a GGUF file. A value that is
// missing (or null) takes the fallback; without one it is an error. Every number has a range, and
// messages name file and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/model_config.h"
#include "base/json.h"
#include "io/gguf.h"

namespace lmoe::arch {

struct IntegerRange {
  int64_t minimum = 1;
  int64_t maximum = 1;
};

/// Far above any model, far below where products of two overflow.
inline constexpr IntegerRange kSizeRange = {1, int64_t{1} << 24};
inline constexpr IntegerRange kLayerRange = {1, 4096};
inline constexpr IntegerRange kLengthRange = {1, int64_t{1} << 31};

/// Throws kCorruptData unless minimum <= value <= maximum.
int64_t check_range(int64_t value, IntegerRange range, const std::string& where);
/// Throws kCorruptData unless finite and minimum <= value <= maximum.
double check_range(double value, double minimum, double maximum, const std::string& where);

class HuggingFaceConfig {
 public:
  /// `file` is for messages. Throws kCorruptData when `json` is not an object.
  HuggingFaceConfig(Json json, std::string file);

  bool has(const std::string& key) const { return find(key) != nullptr; }
  int64_t integer(const std::string& key,
                  IntegerRange range,
                  std::optional<int64_t> fallback = {}) const;
  double number(const std::string& key,
                double minimum,
                double maximum,
                std::optional<double> fallback = {}) const;
  bool boolean(const std::string& key, bool fallback) const;
  std::string text(const std::string& key, std::optional<std::string> fallback = {}) const;
  std::vector<std::string> texts(const std::string& key) const;  ///< empty when missing
  /// One token id or a list of them; empty when missing.
  std::vector<int64_t> token_ids(const std::string& key, int64_t vocab_size) const;
  /// An object inside, read the same way; an empty one when missing.
  HuggingFaceConfig section(const std::string& key) const;
  /// "[load_base] model/config.json: rope_scaling.factor"
  std::string where(const std::string& key) const;
  const Json& json() const { return json_; }

 private:
  /// Null when missing or null.
  const Json* find(const std::string& key) const;
  const Json& require(const std::string& key) const;

  Json json_;
  std::string file_, prefix_;
};

class GgufConfig {
 public:
  explicit GgufConfig(const io::GgufFile& file);

  const std::string& architecture() const { return architecture_; }
  const io::GgufFile& file() const { return file_; }
  /// Keys are without the architecture's prefix: "attention.head_count".
  bool has(const std::string& key) const { return file_.has(full(key)); }
  /// Lists with one value per layer are accepted when all are equal, else kUnsupported.
  int64_t integer(const std::string& key,
                  IntegerRange range,
                  std::optional<int64_t> fallback = {}) const;
  double number(const std::string& key,
                double minimum,
                double maximum,
                std::optional<double> fallback = {}) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  std::string where(const std::string& key) const;

 private:
  std::string full(const std::string& key) const { return architecture_ + "." + key; }

  const io::GgufFile& file_;
  std::string architecture_;
};

}  // namespace lmoe::arch
