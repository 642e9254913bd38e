#include "io/checkpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "support/temp_folder.h"

namespace lmoe::io {
namespace {

class Checkpoints : public ::testing::Test {
 protected:
  fs::path make(const fs::path& folder) {
    fs::create_directories(folder);
    write_file_atomically(folder / "mixture.yaml", "a: 1");
    write_manifest(folder);
    return folder;
  }
  fs::path make_checkpoint(int64_t step) {
    return make(run_ / "checkpoints" / checkpoint_name(step));
  }
  std::string error() {
    try {
      complete_run(run_);
      return "";
    } catch (const Error& caught) {
      return caught.what();
    }
  }
  test::TempFolder folder_;
  fs::path run_ = folder_.path() / "run";
};

TEST_F(Checkpoints, AreListedNewestFirst) {
  EXPECT_TRUE(list_checkpoints(run_ / "checkpoints").empty());
  const fs::path two = make_checkpoint(2), ten = make_checkpoint(10);
  make(run_ / "checkpoints" / "step-000011.partial-7");
  EXPECT_THAT(list_checkpoints(run_ / "checkpoints"), ::testing::ElementsAre(ten, two));
}

TEST_F(Checkpoints, OnlyTheWritersSpellingCounts) {
  const fs::path folder = run_ / "checkpoints", million = make_checkpoint(1'000'000);
  for (const char* name : {"step-5", "step-0000005", "step--00005", "step-+00005", "step-00000x",
                           "step-", "step-99999999999999999999"})
    make(folder / name);
  EXPECT_THAT(list_checkpoints(folder), ::testing::ElementsAre(million));
}

TEST_F(Checkpoints, AFinishedRunIsUsedItself) {
  make_checkpoint(2);
  make(run_);
  EXPECT_EQ(complete_run(run_), run_);
}

TEST_F(Checkpoints, AnUnfinishedRunIsItsNewestCompleteCheckpoint) {
  const fs::path two = make_checkpoint(2), three = make_checkpoint(3);
  EXPECT_EQ(complete_run(run_), three);
  write_file_atomically(three / "mixture.yaml", "a: 2");
  EXPECT_EQ(complete_run(run_), two);
  write_file_atomically(two / "mixture.yaml", "a: 2");
  EXPECT_THAT(error(), ::testing::HasSubstr("has neither manifest.json nor a complete checkpoint"));
}

TEST_F(Checkpoints, ADamagedRunIsAnErrorNotItsCheckpoint) {
  make_checkpoint(2);
  make(run_);
  write_file_atomically(run_ / "mixture.yaml", "a: 2");
  EXPECT_THAT(error(), ::testing::HasSubstr("mixture.yaml has been changed"));
}

}  // namespace
}  // namespace lmoe::io
