#include "train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "support/temp_folder.h"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() { options_.output_dir = (temp_.path() / "run").string(); }

  fs::path make_checkpoint(int64_t step) {
    fs::path path = fs::path(options_.output_dir) / "checkpoints" / concat("step-00000", step);
    fs::create_directories(path);
    write_file_atomically(path / "trainer_state.json", "{}");
    io::write_manifest(path);
    return path;
  }

  std::string error_text() {
    try {
      const RunFolder folder(options_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path run() const { return options_.output_dir; }

  /// All paths below the run's folder.
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(run()))
      names.push_back(entry.path().lexically_relative(run()).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  test::TempFolder temp_;
  recipe::RunOptions options_;
};

TEST_F(RunFolderTest, MakesTheFolderAndAcceptsAnEarlyEnd) {
  EXPECT_EQ(error_text(), "no error");
  RunFolder(options_).begin();
  // As a run leaves it that fails before its first checkpoint.
  for (const char* name : {"config_effective.json", "log.jsonl", "mixture.yaml.partial-77"})
    write_file_atomically(fs::path(options_.output_dir) / name, "{}");
  EXPECT_EQ(error_text(), "no error");
  options_.auto_resume_from_checkpoints = true;
  EXPECT_EQ(error_text(), "no error");
}

TEST_F(RunFolderTest, RefusesAFolderWithARunOrOtherFiles) {
  make_checkpoint(1);
  EXPECT_THAT(error_text(), HasSubstr("is not empty; hint: auto_resume_from_checkpoints=true"));
  fs::remove_all(options_.output_dir);
  fs::create_directories(options_.output_dir);
  write_file_atomically(fs::path(options_.output_dir) / "thesis.tex", "");
  EXPECT_THAT(error_text(), HasSubstr("is not empty"));
  options_.output_dir += "/thesis.tex";
  EXPECT_THAT(error_text(), HasSubstr("is not a folder"));
}

TEST_F(RunFolderTest, OverwritingRemovesOnlyARun) {
  const fs::path checkpoint = make_checkpoint(1);
  write_file_atomically(fs::path(options_.output_dir) / "log.jsonl", "");
  options_.overwrite_output_dir = true;
  EXPECT_EQ(error_text(), "no error");
  EXPECT_TRUE(fs::exists(checkpoint));  // nothing began
  RunFolder(options_).begin();
  EXPECT_FALSE(fs::exists(checkpoint));
  EXPECT_FALSE(fs::exists(fs::path(options_.output_dir) / "log.jsonl"));

  make_checkpoint(1);
  const fs::path thesis = fs::path(options_.output_dir) / "thesis.tex";
  write_file_atomically(thesis, "");
  EXPECT_THAT(error_text(), HasSubstr("thesis.tex, which is not of a run"));
  EXPECT_TRUE(fs::exists(thesis));
  EXPECT_TRUE(fs::exists(checkpoint));
}

TEST_F(RunFolderTest, AutoResumeTakesTheNewestCompleteOne) {
  options_.auto_resume_from_checkpoints = true;
  { EXPECT_FALSE(RunFolder(options_).resume_from()); }
  const fs::path first = make_checkpoint(1), second = make_checkpoint(2);
  { EXPECT_EQ(RunFolder(options_).resume_from(), second); }
  write_file_atomically(second / "trainer_state.json", "{ }");
  { EXPECT_EQ(RunFolder(options_).resume_from(), first); }
  fs::create_directories(first.parent_path() / "step-000003.partial-77");
  { EXPECT_EQ(RunFolder(options_).resume_from(), first); }
  RunFolder(options_).begin();
  EXPECT_FALSE(fs::exists(first.parent_path() / "step-000003.partial-77"));
}

TEST_F(RunFolderTest, ARefusalLeavesTheFolderAsItWas) {
  fs::create_directories(run() / "checkpoints");
  for (const char* name : {"checkpoints/model.old.pt", "checkpoints/a.partial-report"})
    write_file_atomically(run() / name, "mine");
  const std::vector<std::string> before = entries();
  EXPECT_THAT(error_text(), HasSubstr("is not empty"));
  EXPECT_EQ(entries(), before);
  options_.overwrite_output_dir = true;
  EXPECT_THAT(error_text(), HasSubstr("checkpoints/a.partial-report, which is not of a run"));
  EXPECT_EQ(entries(), before);
  options_.overwrite_output_dir = false;
  options_.auto_resume_from_checkpoints = true;
  EXPECT_THAT(error_text(), HasSubstr("checkpoints/a.partial-report, which is not of a run"));
  EXPECT_EQ(entries(), before);
  fs::remove_all(run());
  options_.auto_resume_from_checkpoints = false;
  options_.resume_from_checkpoint = run() / "checkpoints" / "step-000007";
  EXPECT_THAT(error_text(), HasSubstr("has no trainer_state.json"));
  EXPECT_FALSE(fs::exists(run()));
}

TEST_F(RunFolderTest, WhatNeverBeginsLeavesNoFolder) {
  options_.output_dir += "/a/b";
  { const RunFolder folder(options_); }
  EXPECT_TRUE(fs::is_empty(temp_.path()));
}

TEST_F(RunFolderTest, OverwritingRefusesFilesOfOthersAmongAdaptersAndCheckpoints) {
  make_checkpoint(1);
  options_.overwrite_output_dir = true;
  for (const char* name : {"checkpoints/model.pt", "checkpoints/step-1", "checkpoints/step-0000005",
                           "experts/mine.pt", "experts/expert0/notes.txt"}) {
    fs::create_directories((run() / name).parent_path());
    write_file_atomically(run() / name, "mine");
    EXPECT_THAT(error_text(), HasSubstr(concat(name, ", which is not of a run")));
    fs::remove(run() / name);
  }
  EXPECT_EQ(error_text(), "no error");
}

TEST_F(RunFolderTest, BeginningRemovesOnlyLeftoversOfARun) {
  const fs::path checkpoint = make_checkpoint(1);
  options_.auto_resume_from_checkpoints = true;
  const std::vector<std::string> mine = {"checkpoints/model.old.pt", "checkpoints/x.partial-1",
                                         "checkpoints/step-000001.older", "notes.partial-7",
                                         "log.jsonl.partial-x"};
  fs::create_directories(run() / "experts" / "expert0");
  for (const std::string& name : mine) write_file_atomically(run() / name, "mine");
  const std::vector<std::string> before = entries();
  for (const char* name : {"checkpoints/step-000001.partial-7", "checkpoints/step-000001.old",
                           "checkpoints/step-000001.old-7", "log.jsonl.partial-7",
                           "experts/expert0/adapter_config.json.partial-7"})
    write_file_atomically(run() / name, "cut off");
  RunFolder folder(options_);
  folder.begin();
  fs::remove(run() / "checkpoints" / ".lock");
  EXPECT_EQ(entries(), before);
}

TEST_F(RunFolderTest, ACheckpointThatWasBeingReplacedGetsItsNameBack) {
  const fs::path checkpoint = make_checkpoint(1);
  fs::rename(checkpoint, checkpoint.string() + ".old-77");
  EXPECT_THAT(error_text(), HasSubstr("is not empty"));
  options_.auto_resume_from_checkpoints = true;
  EXPECT_EQ(RunFolder(options_).resume_from(), checkpoint);
}

TEST_F(RunFolderTest, AutoResumeNeverWritesOverARunThatCannotGoOn) {
  options_.auto_resume_from_checkpoints = true;
  const fs::path checkpoint = make_checkpoint(1);
  write_file_atomically(checkpoint / "trainer_state.json", "{ }");
  EXPECT_THAT(error_text(), HasSubstr("holds a run, but no complete checkpoint to go on from"));
  fs::remove_all(checkpoint);
  write_file_atomically(fs::path(options_.output_dir) / "mixture.yaml", "");
  EXPECT_THAT(error_text(), HasSubstr("holds a run, but no complete checkpoint to go on from"));
}

TEST_F(RunFolderTest, ANamedCheckpointMustBeCompleteAndOfThisRun) {
  const fs::path first = make_checkpoint(1);
  options_.resume_from_checkpoint = first.string();
  { EXPECT_EQ(RunFolder(options_).resume_from(), first); }
  options_.resume_from_checkpoint = options_.output_dir;
  EXPECT_THAT(error_text(), HasSubstr("has no trainer_state.json"));
  options_.resume_from_checkpoint = first.string();
  write_file_atomically(first / "trainer_state.json", "{ }");
  EXPECT_THAT(error_text(), HasSubstr("trainer_state.json"));
  io::write_manifest(first);
  const std::string old = options_.output_dir;
  options_.output_dir = (temp_.path() / "other").string();
  { EXPECT_EQ(RunFolder(options_).resume_from(), first); }
  make_checkpoint(4);
  EXPECT_THAT(error_text(), HasSubstr("holds another run than"));
}

TEST_F(RunFolderTest, OneProcessAtATime) {
  const RunFolder first(options_);
  EXPECT_THAT(error_text(), HasSubstr("another process trains in output_dir"));
}

}  // namespace
}  // namespace lmoe::train
