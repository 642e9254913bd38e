// A mapped file without a name, for what does not fit in memory. It is gone with the object, and
// with the process whatever ends it.
//
//   ScratchFile file("/scratch", 10 << 30);
//   if (std::byte* place = file.allocate(size)) …   // write and read as memory
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"

namespace lmoe {

class ScratchFile {
 public:
  /// In `folder`, which must exist. Throws kNotFound or kIo naming it.
  ScratchFile(fs::path folder, int64_t limit_bytes);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// Bytes that stay where they are as long as the object lives, on disk space that is reserved:
  /// writing there cannot fail. Null when the limit is reached or the disk is full; smaller pieces
  /// may still fit.
  std::byte* allocate(int64_t bytes);

  const fs::path& folder() const { return folder_; }
  int64_t bytes() const { return used_; }  ///< handed out
  /// Why the file cannot grow, if the operating system refused: "No space left on device".
  const std::string& refusal() const { return refusal_; }
  /// What was read or written so far need not stay in memory; it comes back when it is read again.
  void forget_pages() const;

 private:
  struct Block {
    std::byte* data = nullptr;
    int64_t size = 0;
  };
  bool grow(int64_t bytes);

  fs::path folder_;
  int64_t limit_, size_ = 0, used_ = 0;
  int64_t taken_ = 0;  ///< of the last block
  int descriptor_ = -1;
  std::string refusal_;
  std::vector<Block> blocks_;
};

}  // namespace lmoe
