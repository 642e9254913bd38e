// Files: read whole, map, and write so that a crash at any moment leaves the old file or the new
// one, never half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lmoe {

namespace fs = std::filesystem;

/// Whole regular file as bytes. Throws kNotFound, kInvalidArgument (folder, device) or kIo.
std::string read_file(const fs::path& path);

/// Writes beside `path`, syncs, renames over it, syncs the folder. Throws kIo and removes what it
/// began.
void write_file_atomically(const fs::path& path, std::string_view bytes);
/// The same with the parts one after the other, without joining them in memory.
void write_file_atomically(const fs::path& path, std::span<const std::string_view> parts);

/// Appends and flushes one line; for logs. Throws kIo.
void append_line(const fs::path& path, std::string_view line);

/// A regular file mapped read-only. The bytes stay valid as long as the object lives; the length is
/// the one checked when it was opened.
class MappedFile {
 public:
  /// Throws kNotFound, kInvalidArgument (not a regular file) or kIo.
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }
  /// Throws kCorruptData when the file has become shorter than it was when mapped (reading would
  /// fault).
  void check_not_truncated() const;
  /// What was read of it so far need not stay in memory; it comes back when read again.
  void forget_pages() const;

 private:
  fs::path path_;
  int descriptor_ = -1;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// A folder written aside (`<target>.partial-<pid>`) that appears under its name by one rename.
///
///   FolderWriter writer(target);
///   write_file(writer.path() / "a.json", …);
///   writer.commit();       // syncs all files, renames; without it the destructor removes
///   everything
class FolderWriter {
 public:
  /// Throws kInvalidArgument when `target` exists and is not an empty folder, unless `replace`.
  explicit FolderWriter(fs::path target, bool replace = false);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  const fs::path& path() const { return partial_; }
  void commit();

 private:
  fs::path target_, partial_;
  bool replace_;
  bool committed_ = false;
};

/// fsync of a file or a folder. Throws kIo.
void sync_path(const fs::path& path);

}  // namespace lmoe
