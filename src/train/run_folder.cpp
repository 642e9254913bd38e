#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/path_error.h"
#include "io/checkpoints.h"
#include "io/manifest.h"
#include "train/run_entries.h"

namespace lmoe::train {
namespace {

/// Beginning anew must not write over what no checkpoint can go on from.
void check_nothing_is_lost(const fs::path& folder) {
  refuse_foreign_entries(folder);
  LMOE_CHECK_ARG(!is_occupied(folder), "[resume] ", folder.string(),
                 " holds a run, but no complete checkpoint to go on from; hint: "
                 "overwrite_output_dir=true starts anew");
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
  try {
    make();
    lock();
    check(options);
  } catch (...) {
    give_back();
    throw;
  }
}

RunFolder::RunFolder(const recipe::RunOptions& options, std::optional<fs::path> resume_from)
    : path_(options.output_dir), resume_from_(std::move(resume_from)) {}

RunFolder::~RunFolder() { give_back(); }

void RunFolder::begin() {
  begun_ = true;
  if (overwrites_) remove_run(path_);
  remove_leftovers(path_);
}

void RunFolder::make() {
  LMOE_CHECK_ARG(!fs::exists(fs::symlink_status(path_)) || fs::is_directory(path_),
                 "[train] output_dir ", path_.string(), " exists and is not a folder");
  std::error_code error;
  for (fs::path missing = checkpoints(); !missing.empty() && !fs::exists(missing, error);
       missing = missing.parent_path())
    made_.push_back(missing);
  fs::create_directories(checkpoints(), error);
  if (error)
    fail(path_error_code(error.value()), "[train] cannot make ", checkpoints().string(), ": ",
         error.message());
}

void RunFolder::lock() {
  const fs::path path = checkpoints() / ".lock";
  const bool is_new = !fs::exists(path);
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    fail(ErrorCode::kIo, "[train] cannot open ", path.string(), ": ", std::strerror(errno));
  struct stat info {};
  const bool is_mine = ::flock(lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_, &info) == 0 &&
                       info.st_nlink > 0;  // a process that was refused removes the lock it made
  LMOE_CHECK_ARG(is_mine, "[train] another process trains in output_dir ", path_.string());
  if (is_new) made_.insert(made_.begin(), path);
}

void RunFolder::check(const recipe::RunOptions& options) {
  restore_replaced_checkpoints(checkpoints());
  if (options.resume_from_checkpoint) {
    const fs::path chosen = *options.resume_from_checkpoint;
    resume_from_ = checked_checkpoint(chosen);
    std::error_code error;
    const bool is_own = fs::equivalent(fs::absolute(chosen).parent_path(), checkpoints(), error);
    LMOE_CHECK_ARG(is_own || !is_occupied(path_), "[resume] output_dir ", path_.string(),
                   " holds another run than ", chosen.string());
  } else if (options.auto_resume_from_checkpoints) {
    resume_from_ = io::newest_complete_checkpoint(checkpoints());
    if (!resume_from_) check_nothing_is_lost(path_);
  } else if (options.overwrite_output_dir) {
    overwrites_ = true;
    refuse_foreign_entries(path_);
  } else {
    LMOE_CHECK_ARG(!is_occupied(path_), "[train] output_dir ", path_.string(),
                   " is not empty; hint: auto_resume_from_checkpoints=true goes on, "
                   "overwrite_output_dir=true starts anew");
  }
}

void RunFolder::give_back() {
  std::error_code ignored;
  if (!begun_) {
    for (const fs::path& path : made_) fs::remove(path, ignored);  // a folder only when empty
  }
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace lmoe::train
