#include "base/scratch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmoe {
namespace {

/// Files of this process, open ones without a name among them.
int64_t open_files() {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) count += entry.exists();
  return count;
}

TEST(ScratchFile, KeepsWhatIsWrittenThere) {
  const test::TempFolder folder;
  const int64_t open_before = open_files();
  {
    ScratchFile file(folder.path(), int64_t{64} << 20);
    EXPECT_TRUE(fs::is_empty(folder.path())) << "it has no name";
    std::vector<std::pair<std::byte*, int64_t>> places;
    for (const int64_t bytes : {1L, 100L, 3L << 20, 15L << 20, 20L << 20, 5L}) {
      std::byte* place = file.allocate(bytes);
      ASSERT_NE(place, nullptr) << bytes;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(place) % 64, 0U);
      std::memset(place, static_cast<int>(places.size() + 1), static_cast<size_t>(bytes));
      places.emplace_back(place, bytes);
    }
    file.forget_pages();
    for (size_t i = 0; i < places.size(); ++i) {
      const auto& [place, bytes] = places[i];
      for (const int64_t at : {int64_t{0}, bytes / 2, bytes - 1})
        EXPECT_EQ(place[at], static_cast<std::byte>(i + 1)) << i;
    }
    EXPECT_GE(file.bytes(), 106 + (38 << 20));
  }
  EXPECT_EQ(open_files(), open_before);
}

TEST(ScratchFile, GrowsUpToItsLimit) {
  const test::TempFolder folder;
  ScratchFile file(folder.path(), 100'000);
  EXPECT_NE(file.allocate(60'000), nullptr);
  EXPECT_EQ(file.allocate(60'000), nullptr);
  EXPECT_NE(file.allocate(1'000), nullptr) << "smaller pieces fit";
  EXPECT_EQ(file.refusal(), "");
  ScratchFile none(folder.path(), 1000);
  EXPECT_EQ(none.allocate(1), nullptr) << "less than a page";
}

/// A full disk looks alike, and needs another machine.
TEST(ScratchFile, SaysWhyItCannotGrow) {
  const test::TempFolder folder;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit low = before;
  low.rlim_cur = 20 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  {
    ScratchFile file(folder.path(), int64_t{1} << 30);
    std::byte* place = file.allocate(1000);
    ASSERT_NE(place, nullptr);
    EXPECT_EQ(file.allocate(16 << 20), nullptr);
    EXPECT_EQ(file.refusal(), std::strerror(EFBIG));
    std::memset(place, 1, 1000);
    EXPECT_NE(file.allocate(1000), nullptr) << "what was reserved is there";
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
}

TEST(ScratchFile, NamesAFolderWhereNothingCanBeMade) {
  try {
    const ScratchFile file("/no such folder", 1 << 20);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_STREQ(error.what(),
                 "[scratch file] cannot make a file in /no such folder: No such file or directory");
  }
}

}  // namespace
}  // namespace lmoe
