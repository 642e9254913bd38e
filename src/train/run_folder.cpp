#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "io/checkpoints.h"
#include "io/manifest.h"

namespace lmoe::train {
namespace {

constexpr std::array<std::string_view, 16> kRunEntries = {
    "mixture.yaml",   "router.safetensors",  "experts.safetensors", "experts",
    "tokenizer.json", "chat_template.jinja", "base.json",           "config_effective.json",
    "log.jsonl",      "report.html",         "manifest.json",       "checkpoints",
    "loss.svg",       "eval.json",           "report.json",         "samples.json"};
/// Present before the first checkpoint; a folder with nothing else holds no run.
constexpr std::array<std::string_view, 3> kBeginnings = {"checkpoints", "config_effective.json",
                                                         "log.jsonl"};

bool is_one_of(const auto& names, const fs::path& path) {
  return std::find(names.begin(), names.end(), path.filename().string()) != names.end();
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool holds_run(const fs::path& folder) {
  const std::vector<fs::path> entries = entries_of(folder);
  return !io::list_checkpoints(folder / "checkpoints").empty() ||
         std::any_of(entries.begin(), entries.end(),
                     [](const fs::path& path) { return !is_one_of(kBeginnings, path); });
}

void refuse_foreign_entries(const fs::path& folder) {
  for (const fs::path& path : entries_of(folder)) {
    LMOE_CHECK_ARG(is_one_of(kRunEntries, path), "[train] output_dir ", folder.string(), " holds ",
                   path.filename().string(),
                   ", which is not of a run; hint: choose another output_dir");
  }
}

/// Beginning anew must not write over what no checkpoint can go on from.
void check_nothing_is_lost(const fs::path& folder) {
  refuse_foreign_entries(folder);
  LMOE_CHECK_ARG(!holds_run(folder), "[resume] ", folder.string(),
                 " holds a run, but no complete checkpoint to go on from; hint: "
                 "overwrite_output_dir=true starts anew");
}

void remove_old_run(const fs::path& folder) {
  refuse_foreign_entries(folder);
  for (const fs::path& path : entries_of(folder)) {
    if (path.filename() != "checkpoints") fs::remove_all(path);
  }
  for (const fs::path& path : entries_of(folder / "checkpoints")) {
    if (path.filename() != ".lock") fs::remove_all(path);
  }
}

/// What a killed process left of files of the run itself.
void remove_partial_results(const fs::path& run) {
  constexpr std::string_view kMark = ".partial-";
  for (const fs::path& path : entries_of(run)) {
    const std::string name = path.filename().string();
    const size_t mark = name.find(kMark);
    if (mark != std::string::npos && is_one_of(kRunEntries, name.substr(0, mark)))
      fs::remove_all(path);
  }
  if (!fs::is_directory(run / "experts")) return;
  std::vector<fs::path> partial;
  for (const auto& entry : fs::recursive_directory_iterator(run / "experts")) {
    if (entry.path().filename().string().find(kMark) != std::string::npos)
      partial.push_back(entry.path());
  }
  for (const fs::path& path : partial) fs::remove_all(path);
}

/// What a killed process left of a save.
void remove_partial_saves(const fs::path& checkpoints) {
  for (const fs::path& path : entries_of(checkpoints)) {
    const std::string name = path.filename().string();
    const bool is_partial =
        name.find(".partial-") != std::string::npos || name.find(".old") != std::string::npos;
    if (is_partial) fs::remove_all(path);
  }
}

fs::path checked_checkpoint(const fs::path& path) {
  if (!fs::exists(path / "trainer_state.json"))
    fail(ErrorCode::kNotFound, "[resume] ", path.string(),
         " is no checkpoint: it has no trainer_state.json; hint: runs/NAME/checkpoints/step-…");
  io::check_manifest(path);
  return path;
}

}  // namespace

RunFolder::RunFolder(const recipe::RunOptions& options) : path_(options.output_dir) {
  std::error_code error;
  LMOE_CHECK_ARG(!fs::exists(path_) || fs::is_directory(path_), "[train] output_dir ",
                 path_.string(), " exists and is not a folder");
  fs::create_directories(checkpoints(), error);
  if (error)
    fail(ErrorCode::kIo, "[train] cannot make ", checkpoints().string(), ": ", error.message());
  lock();
  try {
    remove_partial_saves(checkpoints());
    remove_partial_results(path_);
    if (options.overwrite_output_dir) remove_old_run(path_);
    if (options.resume_from_checkpoint) {
      const fs::path chosen = *options.resume_from_checkpoint;
      resume_from_ = checked_checkpoint(chosen);
      const bool is_own = fs::equivalent(fs::absolute(chosen).parent_path(), checkpoints(), error);
      LMOE_CHECK_ARG(is_own || !holds_run(path_), "[resume] output_dir ", path_.string(),
                     " holds another run than ", chosen.string());
    } else if (options.auto_resume_from_checkpoints) {
      resume_from_ = io::newest_complete_checkpoint(checkpoints());
      if (!resume_from_) check_nothing_is_lost(path_);
    } else {
      LMOE_CHECK_ARG(!holds_run(path_), "[train] output_dir ", path_.string(),
                     " is not empty; hint: auto_resume_from_checkpoints=true goes on, "
                     "overwrite_output_dir=true starts anew");
    }
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

RunFolder::~RunFolder() { ::close(lock_); }

void RunFolder::lock() {
  const fs::path path = checkpoints() / ".lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    fail(ErrorCode::kIo, "[train] cannot open ", path.string(), ": ", std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(lock_);
  fail(ErrorCode::kInvalidArgument, "[train] another process trains in output_dir ",
       path_.string());
}

}  // namespace lmoe::train
