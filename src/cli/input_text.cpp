#include "cli/input_text.h"

#include <iostream>
#include <iterator>

#include "base/files.h"

namespace lmoe::cli {

std::string input_text(const std::string& path) {
  if (path != "-") return read_file(path);
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

}  // namespace lmoe::cli
