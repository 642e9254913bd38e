// The folder of a run while it trains: locked, checked, and with the checkpoint to go on from.
//
//   RunFolder folder(recipe.run);      // before the model is loaded: refuses early
//   … whatever may still be refused …
//   folder.begin();                    // from here on it is the new run's
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "recipe/run_options.h"

namespace lmoe::train {

class RunFolder {
 public:
  /// Makes `output_dir`, locks it and chooses the checkpoint; removes nothing. Throws
  /// kInvalidArgument when it holds a run and neither resuming nor overwriting was asked for, when
  /// it holds files that are not of a run, or when another process trains in it; kNotFound or
  /// kCorruptData for the checkpoint. What was made is then removed again.
  explicit RunFolder(const recipe::RunOptions& options);
  /// For workers of a run that another one leads: reads, makes and locks nothing. `resume_from` is
  /// what the leader's folder has.
  RunFolder(const recipe::RunOptions& options, std::optional<std::filesystem::path> resume_from);
  /// The same when nothing began.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// Removes what a killed process left and, with overwrite_output_dir, the old run; to be called
  /// when nothing can be refused any more.
  void begin();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log_path() const { return path_ / "log.jsonl"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  /// Complete, its manifest checked.
  const std::optional<std::filesystem::path>& resume_from() const { return resume_from_; }

 private:
  void make();
  void lock();
  void check(const recipe::RunOptions& options);
  void give_back();

  std::filesystem::path path_;
  std::optional<std::filesystem::path> resume_from_;
  bool overwrites_ = false;
  bool begun_ = false;
  std::vector<std::filesystem::path> made_;  ///< folders and lock, the innermost first
  int lock_ = -1;
};

}  // namespace lmoe::train
