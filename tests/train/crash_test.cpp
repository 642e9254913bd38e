// A save that is cut off at any moment: by kill -9 at each of its system calls, and by a full disk.
//
// The calls are replaced in this program: the wrappers count and end the process at the chosen one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <functional>

#include "io/checkpoints.h"
#include "io/manifest.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"

namespace {

/// Calls until the end; negative: never.
int64_t g_calls_left = -1;
bool g_sync_fails = false;

void count_call() {
  if (g_calls_left > 0 && --g_calls_left == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
  count_call();
  return ::syscall(SYS_write, fd, bytes, size);
}
int fsync(int fd) {
  count_call();
  if (g_sync_fails) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int rename(const char* from, const char* to) {
  count_call();
  return static_cast<int>(::syscall(SYS_rename, from, to));
}

int unlink(const char* path) {
  count_call();
  return static_cast<int>(::syscall(SYS_unlink, path));
}
int remove(const char* path) {
  count_call();
  const long done = ::syscall(SYS_unlink, path);
  return static_cast<int>(done != 0 && errno == EISDIR ? ::syscall(SYS_rmdir, path) : done);
}

}  // extern "C"

namespace lmoe::train {
namespace {

using ::testing::HasSubstr;

/// Exit status of a child that runs `work`.
int run_in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

class CrashTest : public ::testing::Test {
 protected:
  CrashTest() : run_(tiny_recipe(folder_.path() / "run")) {
    // TinyRun works with one thread: a forked child has no thread pool.
    run_.recipe.run.auto_resume_from_checkpoints = true;
    optimizer_ = make_optimizer(run_.mixture->parameters(), run_.recipe.optimizer);
    fs::create_directories(checkpoints());
    save(1);
  }

  fs::path checkpoints() const { return folder_.path() / "run" / "checkpoints"; }
  fs::path checkpoint(int64_t step) const { return checkpoints() / io::checkpoint_name(step); }

  void save(int64_t step) {
    TrainerState state;
    state.step = state.total_steps = step;
    state.base_name = "tiny";
    write_checkpoint(checkpoint(step), state, *run_.mixture, *optimizer_, {{"base.json", "{}"}});
    prune_checkpoints(checkpoints(), 1);
  }

  test::TempFolder folder_;
  TinyRun run_;
  std::unique_ptr<Optimizer> optimizer_;
};

TEST_F(CrashTest, KilledAtAnyCallACompleteCheckpointIsFound) {
  int64_t first_found = 0, second_found = 0;
  for (int64_t calls = 1; calls < 1000; ++calls) {
    const int status = run_in_child([&] {
      g_calls_left = calls;
      save(2);
    });
    RunFolder resumed(run_.recipe.run);
    resumed.begin();
    ASSERT_TRUE(resumed.resume_from()) << "killed at call " << calls;
    EXPECT_NO_THROW(io::check_manifest(*resumed.resume_from()));
    EXPECT_NO_THROW(read_trainer_state(*resumed.resume_from()));
    ++(resumed.resume_from()->filename() == "step-000001" ? first_found : second_found);
    if (WIFEXITED(status)) break;
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    fs::remove_all(checkpoint(2));
    if (!fs::exists(checkpoint(1))) save(1);
  }
  EXPECT_GT(first_found, 20);  // killed while it wrote
  EXPECT_GE(second_found, 2);  // killed after the rename, and not killed
  EXPECT_FALSE(fs::exists(checkpoint(1)));
}

TEST_F(CrashTest, KilledWhileTheOnlyCheckpointIsReplacedItIsTheOldOrTheNewOne) {
  const std::string old = read_file(checkpoint(1) / "manifest.json");
  int64_t old_found = 0, new_found = 0;
  for (int64_t calls = 1; calls < 1000; ++calls) {
    const int status = run_in_child([&] {
      at::Tensor(run_.mixture->parameters().front().tensor).detach().add_(1.0);
      g_calls_left = calls;
      save(1);
    });
    RunFolder resumed(run_.recipe.run);
    ASSERT_EQ(resumed.resume_from(), checkpoint(1)) << "killed at call " << calls;
    resumed.begin();
    EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints()), {}), 2);  // with the lock
    ++(read_file(checkpoint(1) / "manifest.json") == old ? old_found : new_found);
    if (WIFEXITED(status)) break;
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    save(1);
  }
  EXPECT_GT(old_found, 20);
  EXPECT_GE(new_found, 2);
}

/// The run's own files after two steps of different values, of which the second may be cut off.
class FinalWrite : public CrashTest {
 protected:
  FinalWrite() {
    finish();
    old_ = first_value(run_folder());
    for (const nn::NamedTensor& parameter : run_.mixture->parameters())
      at::Tensor(parameter.tensor).detach().add_(1.0);
    save(2);
  }
  fs::path run_folder() const { return folder_.path() / "run"; }
  void finish() { write_results(run_folder(), *run_.mixture, "tiny", {{"base.json", "{}"}}); }
  /// What someone who loads the run gets.
  double first_value(const fs::path& run) {
    const auto mixture =
        mixture::Mixture::load(io::complete_run(run), run_.decoder->projection_groups());
    return mixture->parameters().front().tensor.flatten()[0].item<double>();
  }
  double old_ = 0.0;
};

TEST_F(FinalWrite, KilledAtAnyCallTheRunIsTheOldOrTheNewOne) {
  const fs::path kept = folder_.path() / "kept";
  fs::copy(run_folder(), kept, fs::copy_options::recursive);
  int64_t old_found = 0, checkpoint_found = 0, new_found = 0;
  for (int64_t calls = 1; calls < 1000; ++calls) {
    fs::remove_all(run_folder());
    fs::copy(kept, run_folder(), fs::copy_options::recursive);
    const int status = run_in_child([&] {
      g_calls_left = calls;
      finish();
    });
    const double value = first_value(run_folder());
    const bool is_old = std::abs(value - old_) < 1e-6;
    EXPECT_NEAR(value, is_old ? old_ : old_ + 1.0, 1e-6) << "killed at call " << calls;
    ++(is_old                                           ? old_found
       : io::complete_run(run_folder()) == run_folder() ? new_found
                                                        : checkpoint_found);
    RunFolder(run_.recipe.run).begin();  // removes what was cut off
    EXPECT_NO_THROW(finish());
    EXPECT_EQ(io::complete_run(run_folder()), run_folder());
    EXPECT_EQ(read_file(run_folder() / "manifest.json").find("partial"), std::string::npos);
    if (WIFEXITED(status)) break;
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
  }
  EXPECT_GE(old_found, 1);          // killed as it removed the manifest
  EXPECT_GT(checkpoint_found, 20);  // killed while it wrote
  EXPECT_GE(new_found, 2);          // killed after the manifest, and not killed
}

TEST_F(CrashTest, AFullDiskIsAClearErrorAndTheOldCheckpointStays) {
  const int status = run_in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {2000, 2000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save(2);
    } catch (const Error& error) {
      const bool clear = error.code() == ErrorCode::kIo &&
                         std::string(error.what()).find("step-000002") != std::string::npos;
      ::_exit(clear ? 42 : 1);
    }
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_NO_THROW(io::check_manifest(checkpoint(1)));
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints()), {}), 1);
}

TEST_F(CrashTest, AFailingSyncIsAnErrorAndTheOldCheckpointStays) {
  g_sync_fails = true;
  EXPECT_THROW(save(2), Error);
  g_sync_fails = false;
  EXPECT_NO_THROW(io::check_manifest(checkpoint(1)));
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints()), {}), 1);
}

}  // namespace
}  // namespace lmoe::train
