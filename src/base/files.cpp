#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "base/path_error.h"

namespace lmoe {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// O_NONBLOCK: a FIFO named by mistake must give an error, not a hang.
int open_regular(const fs::path& path, size_t& size) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    fail(path_error_code(errno), "[open] cannot open ", path.string(), ": ", std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0)
    fail(ErrorCode::kIo, "[open] cannot stat ", path.string(), ": ", std::strerror(errno));
  LMOE_CHECK_ARG(S_ISREG(info.st_mode), "[open] ", path.string(), " is not a regular file",
                 S_ISDIR(info.st_mode) ? ": given a folder" : "");
  size = static_cast<size_t>(info.st_size);
  return fd.release();
}

void write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(ErrorCode::kIo, "[write] cannot write ", path.string(), ": ", std::strerror(errno));
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void rename_or_fail(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    fail(ErrorCode::kIo, "[write] cannot rename ", from.string(), " to ", to.string(), ": ",
         std::strerror(errno));
  }
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

std::string read_file(const fs::path& path) {
  size_t size = 0;
  const Descriptor fd(open_regular(path, size));
  std::string bytes(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::read(fd.get(), bytes.data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail(ErrorCode::kIo, "[read] cannot read ", path.string(), ": ", std::strerror(errno));
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

void sync_path(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0) {
    fail(ErrorCode::kIo, "[write] cannot sync ", path.string(), ": ", std::strerror(errno));
  }
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, {&bytes, 1});
}

void write_file_atomically(const fs::path& path, std::span<const std::string_view> parts) {
  std::error_code missing;
  const fs::file_status status = fs::status(path, missing);
  LMOE_CHECK_ARG(!fs::exists(status) || fs::is_regular_file(status), "[write] ", path.string(),
                 " exists and is not a regular file");
  const fs::path partial = path.string() + ".partial-" + std::to_string(::getpid());
  try {
    {
      const Descriptor fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      if (fd.get() < 0)
        fail(path_error_code(errno), "[write] cannot create ", partial.string(), ": ",
             std::strerror(errno));
      for (const std::string_view part : parts) write_all(fd.get(), part, partial);
      if (::fsync(fd.get()) != 0)
        fail(ErrorCode::kIo, "[write] cannot sync ", partial.string(), ": ", std::strerror(errno));
    }
    rename_or_fail(partial, path);
    sync_path(folder_of(path));
  } catch (...) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw;
  }
}

void append_line(const fs::path& path, std::string_view line) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (fd.get() < 0)
    fail(ErrorCode::kIo, "[write] cannot open ", path.string(), ": ", std::strerror(errno));
  write_all(fd.get(), std::string(line) + "\n", path);
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  Descriptor fd(open_regular(path, size_));
  if (size_ > 0) {
    void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (mapping == MAP_FAILED)
      fail(ErrorCode::kIo, "[open] cannot map ", path.string(), ": ", std::strerror(errno));
    data_ = static_cast<const std::byte*>(mapping);
  }
  descriptor_ = fd.release();
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MappedFile::check_not_truncated() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) fail(ErrorCode::kIo, "[read] cannot stat ", path_.string());
  LMOE_CHECK_DATA(static_cast<size_t>(info.st_size) >= size_, "[read] ", path_.string(),
                  " was truncated while in use: given ", info.st_size, " bytes, expected ", size_);
}

void MappedFile::forget_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

FolderWriter::FolderWriter(fs::path target, bool replace)
    : target_(std::move(target)),
      partial_(target_.string() + ".partial-" + std::to_string(::getpid())),
      replace_(replace) {
  std::error_code error;
  const bool occupied = fs::exists(target_, error) &&
                        !(fs::is_directory(target_, error) && fs::is_empty(target_, error));
  LMOE_CHECK_ARG(replace_ || !occupied, "[write] ", target_.string(),
                 " exists and is not an empty folder");
  if (target_.has_parent_path()) fs::create_directories(target_.parent_path(), error);
  if (!error) fs::remove_all(partial_, error);
  if (!error) fs::create_directory(partial_, error);
  if (error)
    fail(path_error_code(error.value()), "[write] cannot create ", partial_.string(), ": ",
         error.message());
}

FolderWriter::~FolderWriter() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

void FolderWriter::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(partial_)) sync_path(entry.path());
  sync_path(partial_);
  const fs::path old = target_.string() + ".old-" + std::to_string(::getpid());
  std::error_code error;
  const bool had_target = fs::exists(target_, error);
  if (had_target) rename_or_fail(target_, old);
  try {
    rename_or_fail(partial_, target_);
  } catch (...) {
    if (had_target) fs::rename(old, target_, error);
    throw;
  }
  committed_ = true;
  sync_path(folder_of(target_));
  if (had_target) fs::remove_all(old, error);
}

}  // namespace lmoe
