#include "io/manifest.h"

#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "io/strict_json.h"

namespace lmoe::io {
namespace {

/// What keeps changing after a folder is complete.
bool is_excluded(const fs::path& relative) {
  const std::string top = relative.begin()->string();
  return top == kManifestName || top == "log.jsonl" || top == "report.html" || top == "loss.svg" ||
         top == "eval.json" || top == "checkpoints";
}

/// Relative paths of all files to be listed, sorted. Throws kInvalidArgument for links and devices.
std::map<std::string, fs::path> files_of(const fs::path& folder) {
  LMOE_CHECK_ARG(fs::is_directory(folder), "[manifest] ", folder.string(), " is not a folder");
  std::map<std::string, fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path relative = entry.path().lexically_relative(folder);
    if (is_excluded(relative) || (entry.is_directory() && !entry.is_symlink())) continue;
    LMOE_CHECK_ARG(entry.is_regular_file() && !entry.is_symlink(), "[manifest] ",
                   entry.path().string(), " is neither a file nor a folder");
    files.emplace(relative.generic_string(), entry.path());
  }
  return files;
}

struct Listed {
  uint64_t bytes = 0;
  std::string sha256;
};

std::map<std::string, Listed> read_manifest(const fs::path& path) {
  const nlohmann::json json = parse_large_json(read_file(path), path.string());
  const bool has_list = json.is_object() && json.contains("files") && json["files"].is_object();
  LMOE_CHECK_DATA(has_list, "[manifest] ", path.string(), " has no object \"files\"");
  std::map<std::string, Listed> listed;
  for (const auto& [name, entry] : json["files"].items()) {
    const bool whole = entry.is_object() && entry.contains("bytes") &&
                       entry["bytes"].is_number_unsigned() && entry.contains("sha256") &&
                       entry["sha256"].is_string();
    LMOE_CHECK_DATA(whole, "[manifest] ", path.string(), ": entry \"", name,
                    "\" lacks bytes or sha256");
    listed[name] = {entry["bytes"].get<uint64_t>(), entry["sha256"].get<std::string>()};
  }
  return listed;
}

}  // namespace

void write_manifest(const fs::path& folder) {
  nlohmann::json files = nlohmann::json::object();
  for (const auto& [name, path] : files_of(folder))
    files[name] = {{"bytes", fs::file_size(path)}, {"sha256", sha256_file(path)}};
  try {
    write_file_atomically(folder / kManifestName, nlohmann::json{{"files", files}}.dump(1) + "\n");
  } catch (const nlohmann::json::type_error&) {
    fail(ErrorCode::kInvalidArgument, "[manifest] ", folder.string(),
         ": a file's name is not UTF-8");
  }
}

void check_manifest(const fs::path& folder) {
  LMOE_CHECK_DATA(fs::exists(folder / kManifestName), "[manifest] ", folder.string(),
                  " has no manifest.json, so it is not complete");
  const std::map<std::string, Listed> listed = read_manifest(folder / kManifestName);
  const std::map<std::string, fs::path> files = files_of(folder);
  for (const auto& [name, entry] : listed) {
    const auto file = files.find(name);
    LMOE_CHECK_DATA(file != files.end(), "[manifest] ", folder.string(), ": file ", name,
                    " is missing");
    const uint64_t bytes = fs::file_size(file->second);
    LMOE_CHECK_DATA(bytes == entry.bytes, "[manifest] ", folder.string(), ": file ", name,
                    ": given ", bytes, " bytes, expected ", entry.bytes);
    LMOE_CHECK_DATA(sha256_file(file->second) == entry.sha256, "[manifest] ", folder.string(),
                    ": file ", name, " has been changed (its SHA-256 differs)");
  }
  for (const auto& [name, path] : files) {
    if (listed.count(name) == 0)
      log().warn("{}: file {} is not listed in {}", folder.string(), name, kManifestName);
  }
}

}  // namespace lmoe::io
