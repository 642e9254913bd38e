// adapter_config.json of PEFT.
#pragma once

#include <string>

#include "base/json.h"
#include "io/peft_folder.h"

namespace lmoe::io {

/// Throws kCorruptData (impossible values), kUnsupported (a feature that is switched on, by name).
/// `file` is for messages. When `target_modules` is a regular expression or "all-linear" the list
/// stays empty.
LoraConfig parse_lora_config(const Json& json, const std::string& file);

Json lora_config_json(const LoraConfig& config);

/// Rank and scaling per module, with the patterns compiled once.
class LoraScaling {
 public:
  /// Throws kCorruptData for a pattern that is not a regular expression.
  explicit LoraScaling(const LoraConfig& config);
  ~LoraScaling();
  int64_t rank(const std::string& module) const;
  double scaling(const std::string& module) const;

 private:
  struct Patterns;
  std::unique_ptr<Patterns> patterns_;
  int64_t rank_;
  double alpha_;
  bool use_rslora_;
};

}  // namespace lmoe::io
