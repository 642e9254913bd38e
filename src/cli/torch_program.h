// The program `lmoe-torch`, which lies beside `lmoe`.
#pragma once

#include <filesystem>

namespace lmoe::cli {

/// Throws kIo when the system does not tell where this program is.
std::filesystem::path torch_program();

}  // namespace lmoe::cli
