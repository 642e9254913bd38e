#include "base/scratch_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/path_error.h"

namespace lmoe {
namespace {

/// The file grows by so much, or by what is asked for.
constexpr int64_t kBlockBytes = int64_t{16} << 20;
constexpr int64_t kAlignment = 64;
/// Offsets of mappings are multiples of pages, which have at most so many bytes.
constexpr int64_t kPageBytes = int64_t{1} << 16;

int64_t rounded_up(int64_t bytes, int64_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

ScratchFile::ScratchFile(fs::path folder, int64_t limit_bytes)
    : folder_(std::move(folder)), limit_(limit_bytes) {
  std::string pattern = (folder_ / ".lmoe-scratch-XXXXXX").string();
  descriptor_ = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (descriptor_ < 0)
    fail(path_error_code(errno), "[scratch file] cannot make a file in ", folder_.string(), ": ",
         std::strerror(errno));
  ::unlink(pattern.c_str());
}

ScratchFile::~ScratchFile() {
  for (const Block& block : blocks_) ::munmap(block.data, static_cast<size_t>(block.size));
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::byte* ScratchFile::allocate(int64_t bytes) {
  const int64_t wanted = rounded_up(std::max<int64_t>(bytes, 1), kAlignment);
  const bool fits = !blocks_.empty() && taken_ + wanted <= blocks_.back().size;
  if (!fits && !grow(wanted)) return nullptr;
  std::byte* place = blocks_.back().data + taken_;
  taken_ += wanted;
  used_ += wanted;
  return place;
}

/// Space is reserved before it is mapped: a full disk is an error here, not a signal later.
bool ScratchFile::grow(int64_t bytes) {
  if (!refusal_.empty()) return false;
  const int64_t left = (limit_ - size_) / kPageBytes * kPageBytes;
  const int64_t size = std::min(left, rounded_up(std::max(bytes, kBlockBytes), kPageBytes));
  if (size < bytes) return false;
  int error = 0;
  do {
    error = ::posix_fallocate(descriptor_, size_, size);
  } while (error == EINTR);
  if (error != 0) {
    refusal_ = std::strerror(error);
    [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, size_);  // gives back a part
    return false;
  }
  void* data = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED,
                      descriptor_, size_);
  if (data == MAP_FAILED) {
    refusal_ = std::strerror(errno);
    return false;
  }
  blocks_.push_back({static_cast<std::byte*>(data), size});
  size_ += size;
  taken_ = 0;
  return true;
}

void ScratchFile::forget_pages() const {
  for (const Block& block : blocks_)
    ::madvise(block.data, static_cast<size_t>(block.size), MADV_DONTNEED);
}

}  // namespace lmoe
