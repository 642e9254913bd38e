// manifest.json: sizes and SHA-256 of every file of a folder. It is written last, so a folder that
// has a valid one is complete.
#pragma once

#include <filesystem>

namespace lmoe::io {

inline constexpr const char* kManifestName = "manifest.json";

/// Hashes every regular file below `folder` (relative paths, sorted) except manifest.json itself
/// and what is written again later: log.jsonl, loss.svg, report.html, eval.json, checkpoints/.
void write_manifest(const std::filesystem::path& folder);

/// Throws kCorruptData naming the first file that is missing, has another size or another hash.
/// Files that are not listed are logged: they are the user's own, and nobody reads them.
void check_manifest(const std::filesystem::path& folder);

}  // namespace lmoe::io
