// The folder of a run while it trains: locked, checked, and with the checkpoint to go on from.
//
//   RunFolder folder(recipe.run);      // before the model is loaded: refuses early
#pragma once

#include <filesystem>
#include <optional>

#include "recipe/run_options.h"

namespace lmoe::train {

class RunFolder {
 public:
  /// Makes `output_dir`, locks it and chooses the checkpoint. Throws kInvalidArgument when it holds
  /// a run and neither resuming nor overwriting was asked for, when it holds files that are not of
  /// a run, or when another process trains in it; kNotFound or kCorruptData for the checkpoint.
  /// With overwrite_output_dir the old run is removed here.
  explicit RunFolder(const recipe::RunOptions& options);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log_path() const { return path_ / "log.jsonl"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  /// Complete, its manifest checked.
  const std::optional<std::filesystem::path>& resume_from() const { return resume_from_; }

 private:
  void lock();

  std::filesystem::path path_;
  std::optional<std::filesystem::path> resume_from_;
  int lock_ = -1;
};

}  // namespace lmoe::train
