// A text that a user names: a file, or standard input.
#pragma once

#include <string>

namespace lmoe::cli {

/// "-" reads standard input to its end. Throws kNotFound, kIo.
std::string input_text(const std::string& path);

}  // namespace lmoe::cli
