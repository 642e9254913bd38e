// The checkpoints of a run folder, and which of its folders can be used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lmoe::io {

/// "step-000200"
std::string checkpoint_name(int64_t step);

/// Folders named exactly as `checkpoint_name` does, newest first; whether they are complete is not
/// asked.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);

/// The newest one whose manifest holds; those that do not are logged. Empty when there is none.
std::optional<std::filesystem::path> newest_complete_checkpoint(
    const std::filesystem::path& folder);

/// The folder to load a run or checkpoint from: `run` itself when its manifest holds; without a
/// manifest, as while a run trains or after it was killed, its newest complete checkpoint, which is
/// logged. Throws kNotFound when there is neither, kCorruptData naming a file that is missing or
/// changed.
std::filesystem::path complete_run(const std::filesystem::path& run);

}  // namespace lmoe::io
