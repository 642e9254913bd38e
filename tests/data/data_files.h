// Data files written by a test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmoe::test {

inline std::string write(const TempFolder& folder,
                         const std::string& name,
                         const std::string& content) {
  const auto path = folder.path() / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

/// Runs `action`, which must throw an Error of this code with this text in its message.
template <class Action>
void expect_error(ErrorCode code, const std::string& text, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(text));
    return;
  }
  ADD_FAILURE() << "no error; expected one with: " << text;
}

}  // namespace lmoe::test
