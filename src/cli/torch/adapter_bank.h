// The adapters that `lmoe select adapters` chooses from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/peft_folder.h"

namespace lmoe::cli {

struct AdapterBank {
  std::vector<std::string> names;
  std::vector<std::filesystem::path> paths;
  std::vector<io::LoraFolder> folders;

  size_t size() const { return names.size(); }
};

/// Each text is NAME=FOLDER, or a folder that gives its own name. Throws kInvalidArgument for a
/// name that is there twice or cannot be an expert's, and as mixture::read_bank does.
AdapterBank read_adapter_bank(const std::vector<std::string>& given);

}  // namespace lmoe::cli
