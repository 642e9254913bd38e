// Reading recipes from text in tests.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "recipe/recipe.h"
#include "support/temp_folder.h"

namespace lmoe::recipe {

inline Recipe read_text(const std::string& text,
                        const std::vector<std::string>& overrides = {},
                        ReadReport* report = nullptr) {
  const test::TempFolder folder;
  const fs::path path = folder.path() / "r.yaml";
  write_file_atomically(path, text);
  ReadReport local;
  return read_recipe(path, overrides, report != nullptr ? *report : local);
}

inline std::vector<std::string> notes_of(const std::string& text,
                                         const std::vector<std::string>& overrides = {}) {
  ReadReport report;
  read_text(text, overrides, &report);
  return report.notes;
}

/// The message, or "no error".
inline std::string message_of(const std::string& text,
                              const std::vector<std::string>& overrides = {}) {
  try {
    read_text(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline ErrorCode code_of(const std::string& text) {
  try {
    read_text(text);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

}  // namespace lmoe::recipe
