#include "io/checkpoints.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "io/manifest.h"

namespace lmoe::io {
namespace {

constexpr const char* kPrefix = "step-";

/// -1 when the name is not one that `checkpoint_name` gives: "step-5" is somebody else's.
int64_t step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return -1;
  int64_t step = -1;
  std::from_chars(name.data() + std::string_view(kPrefix).size(), name.data() + name.size(), step);
  return step >= 0 && name == checkpoint_name(step) ? step : -1;
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  char text[32];
  std::snprintf(text, sizeof(text), "%s%06lld", kPrefix, static_cast<long long>(step));
  return text;
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error) && step_of(entry.path()) >= 0) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  return found;
}

std::optional<fs::path> newest_complete_checkpoint(const fs::path& folder) {
  for (const fs::path& path : list_checkpoints(folder)) {
    try {
      check_manifest(path);
      return path;
    } catch (const Error& error) {
      log().warn("{} is not complete, looking for an older checkpoint: {}", path.string(),
                 error.what());
    }
  }
  return std::nullopt;
}

fs::path complete_run(const fs::path& run) {
  if (fs::exists(run / kManifestName)) {
    check_manifest(run);
    return run;
  }
  const auto checkpoint = newest_complete_checkpoint(run / "checkpoints");
  if (!checkpoint)
    fail(ErrorCode::kNotFound, "[load_run] ", run.string(), " has neither ", kManifestName,
         " nor a complete checkpoint; expected the folder of a run or of a checkpoint");
  log().warn("{} is not finished; using {}; hint: lmoe resume {}", run.string(),
             checkpoint->string(), run.string());
  return *checkpoint;
}

}  // namespace lmoe::io
