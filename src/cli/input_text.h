// Text that a person or a pipe hands to a program: UTF-8, or a clear error.
#pragma once

#include <string>
#include <string_view>

namespace lmoe::cli {

/// Throws kInvalidArgument naming `source` and the first line and byte that are no UTF-8.
void check_utf8(std::string_view text, const std::string& source);

/// A file, or standard input for "-". Throws kNotFound, kIo; kInvalidArgument for what is no UTF-8.
std::string input_text(const std::string& path);

}  // namespace lmoe::cli
