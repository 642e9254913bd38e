// Which entries of a run's folder are the run's own, and which of them a killed process left half
// written. Nothing else is ever removed.
#pragma once

#include <filesystem>

namespace lmoe::train {

/// Whether `run`, which has checkpoints/, holds more than a run writes before its first checkpoint
/// and what a killed process left; files of somebody else count.
bool is_occupied(const std::filesystem::path& run);

/// Throws kInvalidArgument naming the first entry that no run writes: in the folder itself, in
/// experts/ and in checkpoints/.
void refuse_foreign_entries(const std::filesystem::path& run);

/// Removes all but checkpoints/.lock, after `refuse_foreign_entries`.
void remove_run(const std::filesystem::path& run);

/// Removes what a killed process left of files, and of checkpoints written or pruned.
void remove_leftovers(const std::filesystem::path& run);

/// Replacing a checkpoint takes two renames (FolderWriter): killed between them, it has only the
/// name step-000200.old-PID, and gets its own back.
void restore_replaced_checkpoints(const std::filesystem::path& checkpoints);

}  // namespace lmoe::train
