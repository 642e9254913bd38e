// A PEFT pattern for module paths: a regular expression out of a file, matched with limits on steps
// and memory.
#pragma once

#include <memory>
#include <string>

namespace lmoe::io {

class ModulePattern {
 public:
  /// Matches when `(.*\.)?(key)$` does from the start of the path, as in PEFT. Throws kCorruptData
  /// when `key` is not a regular expression.
  explicit ModulePattern(const std::string& key);
  ~ModulePattern();
  ModulePattern(ModulePattern&&) noexcept;
  ModulePattern& operator=(ModulePattern&&) noexcept;

  /// Throws kCorruptData when matching takes too many steps.
  bool matches(const std::string& module) const;

 private:
  struct Compiled;
  std::string key_;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace lmoe::io
