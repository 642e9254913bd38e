// UTF-8 as bytes: decoding by maximal subpart, validation, encoding. No locale, no exceptions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmoe::text {

/// One step through a byte string. For an invalid sequence `code_point` is U+FFFD, `length` covers
/// its maximal subpart (Unicode 15, table 3-7) and `valid` is false; `truncated` is true when more
/// bytes could have completed it.
struct Utf8Step {
  char32_t code_point = 0;
  int length = 0;
  bool valid = false;
  bool truncated = false;
};

/// `bytes` must not be empty.
Utf8Step utf8_step(std::string_view bytes);

void append_utf8(std::string& out, char32_t code_point);

bool is_valid_utf8(std::string_view bytes);

/// Every maximal invalid subpart becomes one U+FFFD, as Python's bytes.decode("utf-8", "replace")
/// does.
std::string replace_invalid_utf8(std::string_view bytes);

/// Length of the longest prefix that does not end inside a character that further bytes could
/// complete.
size_t complete_utf8_prefix(std::string_view bytes);

}  // namespace lmoe::text
