// SHA-256 of bytes and files, in lower-case hex.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lmoe {

std::string sha256_hex(std::string_view bytes);

/// Reads in blocks. Throws kNotFound or kIo.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace lmoe
