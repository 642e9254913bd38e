// Which file an entry of `datasets` means.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "data/record.h"

namespace lmoe::data {
namespace {

namespace fs = std::filesystem;

/// Cuts "#500" off; 0 when there is none.
int64_t take_count(std::string& path) {
  const size_t mark = path.rfind('#');
  if (mark == std::string::npos || mark + 1 == path.size()) return 0;
  int64_t count = 0;
  const char* end = path.data() + path.size();
  const auto [stop, error] = std::from_chars(path.data() + mark + 1, end, count);
  if (error != std::errc{} || stop != end || count < 1) return 0;
  path.resize(mark);
  return count;
}

std::string name_of(const fs::path& file) {
  const std::string stem = file.stem().string();
  const bool is_split = stem == "train" || stem == "valid" || stem == "test";
  const std::string folder = fs::absolute(file).parent_path().filename().string();
  return is_split && !folder.empty() ? folder : stem;
}

fs::path file_in(const fs::path& folder, const std::string& split) {
  for (const std::string& name : {split, split == "validation" ? std::string("valid") : split}) {
    for (const char* ending : {".jsonl", ".json"}) {
      fs::path file = folder / (name + ending);
      if (fs::exists(file)) return file;
    }
  }
  fail(ErrorCode::kNotFound, "[data] ", folder.string(), ": the folder has no ", split,
       ".jsonl; expected train.jsonl, valid.jsonl or test.jsonl");
}

}  // namespace

ResolvedPath resolve_dataset(const DatasetOptions& options) {
  LMOE_CHECK_ARG(!options.path.empty(), "[data] a data set has no path");
  ResolvedPath resolved;
  resolved.slice = parse_split(options.split);
  std::string path = options.path;
  if (!fs::exists(path)) resolved.max_samples = take_count(path);
  if (options.max_samples > 0) {
    resolved.max_samples = resolved.max_samples > 0
                               ? std::min(resolved.max_samples, options.max_samples)
                               : options.max_samples;
  }
  if (!fs::exists(path))
    fail(ErrorCode::kNotFound, "[data] no such file or folder: given ", path,
         ", expected JSON lines, a JSON list, or a folder with train.jsonl");
  resolved.file = fs::is_directory(path) ? file_in(path, resolved.slice.split) : fs::path(path);
  resolved.name = options.name.empty() ? name_of(resolved.file) : options.name;
  return resolved;
}

}  // namespace lmoe::data
