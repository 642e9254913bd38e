#include "arch/known_models.h"

#include <cstdlib>
#include <vector>

#include "arch/base_model.h"
#include "base/error.h"
#include "base/files.h"

namespace lmoe::arch {
namespace {

constexpr const char* kNames[] = {"smollm2-135m"};
constexpr int kParentsSearched = 4;

/// $LMOE_MODELS, then models/ beside the running program and beside its parents.
std::vector<fs::path> folders_searched() {
  std::vector<fs::path> folders;
  if (const char* folder = std::getenv("LMOE_MODELS"); folder != nullptr && *folder != '\0')
    folders.emplace_back(folder);
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (int i = 0; i <= kParentsSearched && !folder.empty(); ++i) {
    folders.push_back(folder / "models");
    if (folder == folder.parent_path()) break;
    folder = folder.parent_path();
  }
  return folders;
}

std::string find_installed(const std::string& name) {
  for (const fs::path& folder : folders_searched()) {
    std::error_code error;
    const fs::path file = folder / (name + ".gguf");
    if (fs::is_regular_file(file, error)) return file.string();
  }
  return "";
}

}  // namespace

std::string find_known_model(const std::string& name) {
  for (const char* known : kNames) {
    if (name != known) continue;
    std::string file = find_installed(name);
    if (!file.empty()) return file;
    std::string list;
    for (const fs::path& folder : folders_searched())
      list += (list.empty() ? "" : ", ") + folder.string();
    fail(ErrorCode::kNotFound, "[load_base] ", name, " is not installed: looked for ", name,
         ".gguf in ", list, "; run `make setup`, or set LMOE_MODELS to the folder that has it");
  }
  return "";
}

std::vector<std::pair<std::string, std::string>> known_base_models() {
  std::vector<std::pair<std::string, std::string>> models;
  for (const char* name : kNames) models.emplace_back(name, find_installed(name));
  return models;
}

}  // namespace lmoe::arch
