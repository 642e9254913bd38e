#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/hash.h"
#include "support/temp_folder.h"

namespace lmoe {
namespace {

using test::TempFolder;

TEST(Files, AtomicWriteReplacesAndLeavesNothingBehind) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a.txt";
  write_file_atomically(path, "one");
  write_file_atomically(path, "two");
  EXPECT_EQ(read_file(path), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}), 1);
}

TEST(Files, FailedWriteKeepsTheOldFile) {
  EXPECT_THROW(write_file_atomically("/dev/full", "x"), Error);
  EXPECT_THROW(write_file_atomically("/nonexistent/folder/x", "x"), Error);
}

TEST(Files, OnlyRegularFilesAreRead) {
  const TempFolder folder;
  EXPECT_THROW(read_file(folder.path()), Error);
  EXPECT_THROW(read_file("/dev/zero"), Error);
  const fs::path fifo = folder.path() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(MappedFile{fifo}, Error);
}

TEST(Files, PathsThatCannotExistAreTheUsersMistake) {
  const TempFolder folder;
  const fs::path loop = folder.path() / "loop";
  fs::create_symlink(loop, loop);
  const auto code_of = [](const std::function<void()>& use) {
    try {
      use();
    } catch (const Error& error) {
      return exit_code(error.code());
    }
    return 0;
  };
  for (const fs::path& path : {loop, folder.path() / std::string(256, 'x'), folder.path() / "none"})
    EXPECT_EQ(code_of([&] { read_file(path); }), 2) << path;
  const fs::path long_name = folder.path() / std::string(256, 'x');
  EXPECT_EQ(code_of([&] { write_file_atomically(loop / "a", "x"); }), 2);
  EXPECT_EQ(code_of([&] { const FolderWriter writer(long_name); }), 2);
}

TEST(Files, MappingNoticesTruncation) {
  const TempFolder folder;
  const fs::path path = folder.path() / "a";
  write_file_atomically(path, "0123456789");
  const MappedFile mapped(path);
  EXPECT_NO_THROW(mapped.check_not_truncated());
  fs::resize_file(path, 3);
  EXPECT_THROW(mapped.check_not_truncated(), Error);
}

/// Pages of files (of tmpfs, too) in this process, in bytes.
int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t sum = 0, kilobytes = 0;
  while (status >> word)
    if ((word == "RssFile:" || word == "RssShmem:") && status >> kilobytes) sum += kilobytes;
  return sum * 1024;
}

TEST(Files, ForgottenPagesLeaveMemoryAndComeBack) {
  const TempFolder folder;
  constexpr size_t kBytes = 32 << 20;
  write_file_atomically(folder.path() / "a", std::string(kBytes, 'x'));
  const MappedFile mapped(folder.path() / "a");
  const auto count = [&] {
    return std::ranges::count(mapped.bytes(), static_cast<std::byte>('x'));
  };
  const int64_t before = resident_file_bytes();
  EXPECT_EQ(count(), kBytes);
  EXPECT_GT(resident_file_bytes(), before + int64_t{kBytes} / 2);
  mapped.forget_pages();
  EXPECT_LT(resident_file_bytes(), before + int64_t{kBytes} / 4);
  EXPECT_EQ(count(), kBytes);
}

TEST(Files, FolderAppearsWholeOrNotAtAll) {
  const TempFolder folder;
  const fs::path target = folder.path() / "run";
  { const FolderWriter dropped(target); }
  EXPECT_FALSE(fs::exists(target));
  FolderWriter writer(target);
  write_file_atomically(writer.path() / "x", "1");
  EXPECT_FALSE(fs::exists(target));
  writer.commit();
  EXPECT_EQ(read_file(target / "x"), "1");
  EXPECT_THROW(FolderWriter{target}, Error);
  FolderWriter again(target, /*replace=*/true);
  again.commit();
  EXPECT_FALSE(fs::exists(target / "x"));
}

TEST(Hash, KnownDigest) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const TempFolder folder;
  write_file_atomically(folder.path() / "a", "abc");
  EXPECT_EQ(sha256_file(folder.path() / "a"), sha256_hex("abc"));
}

}  // namespace
}  // namespace lmoe
