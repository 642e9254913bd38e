#include "cli/input_text.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "text/utf8.h"

namespace lmoe::cli {

void check_utf8(std::string_view text, const std::string& source) {
  if (text::is_valid_utf8(text)) return;
  size_t at = 0;
  for (text::Utf8Step step; (step = text::utf8_step(text.substr(at))).valid;)
    at += static_cast<size_t>(step.length);
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  char byte[8];
  std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned char>(text[at]));
  fail(ErrorCode::kInvalidArgument, "[input] ", source, ":", line, ": given byte ", byte, " (the ",
       at + 1, ". of the text), expected UTF-8; hint: iconv -t UTF-8 converts text");
}

std::string input_text(const std::string& path) {
  std::string text =
      path == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(path);
  check_utf8(text, path == "-" ? "standard input" : path);
  return text;
}

}  // namespace lmoe::cli
