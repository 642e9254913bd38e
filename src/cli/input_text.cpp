#include "cli/input_text.h"

#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "text/utf8.h"

namespace lmoe::cli {
namespace {

void check_utf8(const std::string& text, const std::string& path) {
  const std::string_view bytes = text;
  for (size_t at = 0; at < bytes.size();) {
    const text::Utf8Step step = text::utf8_step(bytes.substr(at));
    LMOE_CHECK_DATA(step.valid, "[input] ", path == "-" ? "standard input" : path,
                    " is not UTF-8: no character begins at byte ", at);
    at += static_cast<size_t>(step.length);
  }
}

}  // namespace

std::string input_text(const std::string& path) {
  std::string text =
      path == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {}) : read_file(path);
  check_utf8(text, path);
  return text;
}

}  // namespace lmoe::cli
